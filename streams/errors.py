"""Errors of streams.

StreamError
├── AlertmanagerError      Alertmanager does not answer, or refuses
├── AssignmentTimeout      an assignment's start positions could not be settled in time
├── AuditError             the audit topic could not be read or written
├── BackfillRefused        a namespace may not be filled as asked
├── CompiledStreamsMissing the pure-Python streams of Faust were loaded
├── DeadLettersError       dead letters could not be read, or their records not sent again
├── DeploymentsError       the deployments topic could not be read or written
├── DriverError            a test sent what its pipeline does not read, or asked for what is not there
├── ErasedUnknown          a forgotten entity cannot be told from others, because other fields are personal now
├── HandlerCancelled       something that a chunk waited for was cancelled, and not by the worker
├── JobsError              the jobs topic could not be read or written
├── MonitorStateError      a monitor's checkpoint, or the end of its topic, cannot be read
├── PipelineBroken         a pipeline's own module raised an error
├── PipelineNotFound       there is no pipeline where the user said
├── PositionBeyondLog      a partition ends before the record that is next
├── PublishError           a record was not acknowledged by the broker
│   └── RecordTooLarge     a record exceeds what producer or topic allow
├── RecordsGone            Kafka no longer holds records that the feature store lacks
├── SettingsError          the environment lacks something, or says something impossible
├── SilenceRefused         alerts may not be silenced so
├── SkewUnknown            served vectors could not be compared with offline ones
└── TopicError             topics could not be listed or created
    └── TopicsMissing      topics do not exist and may not be created
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class StreamError(Exception):
    """Something at the Kafka ends went wrong."""


class AlertmanagerError(StreamError):
    """Alertmanager does not answer, or refuses; the message has its address and its words."""


class AssignmentTimeout(StreamError):
    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"Kafka did not tell the start positions of the assigned partitions within {seconds:.0f} s. "
            "Check that it answers, then start the worker again."
        )


class AuditError(StreamError):
    """The audit topic could not be read or written."""


class ErasedUnknown(StreamError):
    """An erasure names its entity by a hash that no event has any more; the message names the act and the remedy."""


class DeadLettersError(StreamError):
    """Dead letters could not be read, or not all of their records sent again."""


class BackfillRefused(StreamError):
    """A namespace may not be filled as asked, because something would be missing or count twice; the message says what to do."""


class CompiledStreamsMissing(StreamError):
    def __init__(self) -> None:
        super().__init__(
            "Faust's compiled streams are not loaded; its Python ones acknowledge records of past assignments. "
            "Unset NO_CYTHON and install a faust-streaming wheel for this platform."
        )


class DeploymentsError(StreamError):
    """The deployments topic could not be read or written."""


class DriverError(StreamError):
    """A test sent what its pipeline does not read, or asked for what is not there."""


class HandlerCancelled(StreamError):
    def __init__(self, topic: str, partitions: Iterable[int]) -> None:
        super().__init__(
            f"A chunk of {topic}{sorted(partitions)} was cancelled by something other than this worker. It is uncommitted; "
            "start the worker again, and report this with the log."
        )


class JobsError(StreamError):
    """The jobs topic could not be read or written."""


class MonitorStateError(StreamError):
    """A monitor's checkpoint, or the end of its topic, cannot be read; the message names the remedy."""


class PipelineBroken(StreamError):
    """A pipeline's own module raised an error; the message says where."""


class PipelineNotFound(StreamError):
    """There is no pipeline where the user said."""


class RecordsGone(StreamError):
    """Kafka no longer holds records that the feature store lacks."""


class SettingsError(StreamError):
    """The environment lacks something, or says something impossible; the message names the variable."""


class SilenceRefused(StreamError):
    """A silence that would last too long, or take away what nobody may miss."""


class SkewUnknown(StreamError):
    """Served vectors could not be compared with offline ones; the message says why, and what would help."""


class PositionBeyondLog(StreamError):
    def __init__(self, topic: str, partition: int, position: int, end: int, group: str) -> None:
        super().__init__(
            f"{topic}[{partition}] ends at {end}, but {position} is next to be read: the topic was created anew, or Kafka lost "
            "records that it had acknowledged. Restore the topic, or begin anew: stop the workers, then drop the features made "
            "from the topic (tidegate features list PIPELINE names them, tidegate features drop NAMESPACE ... removes them) and "
            f"the commits: kafka-consumer-groups.sh --bootstrap-server ... --delete-offsets --group {group} --topic {topic}"
        )


class PublishError(StreamError):
    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"Publishing to {topic} failed: {reason}. The source records stay uncommitted.")
        self.topic = topic


class RecordTooLarge(PublishError):
    def __init__(self, topic: str, size_bytes: int) -> None:
        super().__init__(
            topic,
            f"a record of {size_bytes} bytes is too large; raise max.message.bytes of the topic "
            "(and the publisher's max_message_bytes), or publish less per record",
        )
        self.size_bytes = size_bytes


class TopicError(StreamError):
    """Topics could not be listed or created."""


class TopicsMissing(TopicError):
    def __init__(self, names: Sequence[str], reason: str) -> None:
        self.names = tuple(sorted(names))
        super().__init__(
            f"Topics missing and not created ({reason}): {', '.join(self.names)}. "
            "Create them, or grant this client Create on the topics."
        )
