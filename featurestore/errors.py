"""What can go wrong in the feature store.

FeatureStoreError
├── DefinitionError      a pipeline's features contradict each other or the event contracts
├── HashKeyError         there are personal fields and no key to hash them with, or another than before
├── HistoryError         recorded events are missing or break their contract
├── LayoutError          a state in the store does not have the layout of its group
├── StoreWentBackError   a fence is lower than this worker left it: the store lost data
├── NamespaceError       a namespace is not there, or was made with another number of shards
├── TopicReplacedError   a topic was created anew, so that its offsets mean other events
├── FenceBeyondLogError  a fence or a commit is past the end of its Kafka partition: the topic was recreated
├── StoreConfigError     the store would lose state by its own configuration
└── CheckpointTakenError another process has written a checkpoint since this one did
"""

from collections.abc import Sequence


class FeatureStoreError(Exception):
    """Base of every error of this package."""


class DefinitionError(FeatureStoreError):
    """A feature definition is wrong; the message names it and the change that mends it."""


class HashKeyError(FeatureStoreError):
    """Personal fields cannot be hashed, or not as before; the message names TIDEGATE_HASH_KEY and the remedy."""


class HistoryError(FeatureStoreError):
    """Recorded events are missing or break their contract; the message names the file and row."""


class LayoutError(FeatureStoreError):
    """A stored state is not of its group's layout; the message names the key."""


class StoreWentBackError(FeatureStoreError):
    """The store lost merges it had acknowledged; a restart seeks back and merges them again."""


class FenceBeyondLogError(FeatureStoreError):
    """The store counted, or the workers' consumer group committed, events that their Kafka partition does not have."""


class NamespaceError(FeatureStoreError):
    """A namespace cannot be used as declared, or not dropped or filled; the message names the remedy."""


class TopicReplacedError(FeatureStoreError):
    """A source topic was deleted and created anew under its name."""


class StoreConfigError(FeatureStoreError):
    """The store is configured so that it may drop state."""


class CheckpointTakenError(FeatureStoreError):
    """A checkpoint is another process' now, or Redis lost what this one wrote; a restart goes on from what Redis holds."""


def begin_anew(pipeline: str, topic: str, namespaces: Sequence[str]) -> str:
    """The remedy where a topic's offsets mean other events than before: its features and its commits must both go.

    With the commits alone left, the new events below them would never be read; with the fences alone, they would count as seen.
    The consumer group is that of streams.topic_facts.
    """
    return (
        f"stop the workers, then run tidegate features drop {' '.join(namespaces)}, and kafka-consumer-groups.sh "
        f"--bootstrap-server ... --delete-offsets --group tidegate.{pipeline} --topic {topic}"
    )
