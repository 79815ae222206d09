"""What Kafka says of topics and of a pipeline's consumer group: ids, retention, logs' ends, commits, members. Creates nothing."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from streams.chunk import TP
from streams.errors import TopicError
from streams.topics import POLL_SECONDS, QUIET, TIMEOUT_SECONDS

T = TypeVar("T")
PASSING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"  # what brokers without topic ids give


def group_of(pipeline: str) -> str:
    """The consumer group of a pipeline's workers."""
    return f"tidegate.{pipeline}"


class TopicFacts:
    """Questions to one cluster, each with a time limit; TopicError where Kafka does not answer."""

    def __init__(self, bootstrap_servers: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._settings = {"bootstrap.servers": bootstrap_servers, **QUIET}
        self._admin = AdminClient(self._settings)
        self._seconds = timeout_seconds

    def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Each topic's id; a topic that is not there, or has none, is left out."""
        asked = self._told(lambda: self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=self._seconds))
        found = {name: _answer(future, lambda description: str(description.topic_id)) for name, future in asked.items()}
        return {name: id for name, id in found.items() if id is not None and id != NO_ID}

    def retention_ms(self, topics: Iterable[str]) -> dict[str, int | None]:
        """How long each topic keeps its records, in milliseconds; None where for ever, or where Kafka will not say."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
        asked = self._admin.describe_configs(resources, request_timeout=self._seconds) if resources else {}
        return {resource.name: _answer(future, _retention) for resource, future in asked.items()}

    def partitions(self, topics: Iterable[str]) -> list[TP]:
        """Every partition of the topics that are there."""
        found = self._told(lambda: self._admin.list_topics(timeout=self._seconds)).topics
        return [TP(name, p) for name in topics if name in found and not found[name].error for p in sorted(found[name].partitions)]

    def firsts(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The offset of the oldest record each partition holds (its end where it holds none)."""
        return self._offsets(tps, OffsetSpec.earliest())

    def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The offset that each partition's next record will have."""
        return self._offsets(tps, OffsetSpec.latest())

    def since(self, tps: Iterable[TP], time: float) -> dict[TP, int]:
        """The offset of each partition's first record with a timestamp of `time` (seconds) or later; its end if there is none."""
        if time <= 0:
            return self.firsts(tps)
        found = self._offsets(tps, OffsetSpec.for_timestamp(int(time * 1000)))
        ends = self.ends([tp for tp, offset in found.items() if offset < 0])
        return {tp: ends.get(tp, offset) for tp, offset in found.items()}

    def _offsets(self, tps: Iterable[TP], spec: OffsetSpec) -> dict[TP, int]:
        wanted = {TopicPartition(*tp): spec for tp in tps}
        if not wanted:
            return {}

        def ask() -> dict[TP, int]:
            asked = self._admin.list_offsets(wanted, request_timeout=self._seconds)
            return {TP(tp.topic, tp.partition): future.result().offset for tp, future in asked.items()}

        return self._told(ask)

    def committed(self, group: str, tps: Iterable[TP]) -> dict[TP, int | None]:
        """Where a consumer group stands; None for a partition that it never committed.

        Asked by a consumer that joins nothing: librdkafka's admin client ends the process by a segmentation fault where the
        group's coordinator is new or has moved (confluentinc/librdkafka#5040, in 2.16 still).
        """
        wanted = [TopicPartition(*tp) for tp in tps]
        if not wanted:
            return {}

        def ask() -> dict[TP, int | None]:
            consumer = Consumer({**self._settings, "group.id": group, "enable.auto.commit": False})
            try:
                found = consumer.committed(wanted, timeout=self._seconds)
            finally:
                consumer.close()
            for one in found:
                if one.error is not None:
                    raise KafkaException(one.error)
            return {TP(one.topic, one.partition): one.offset if one.offset >= 0 else None for one in found}

        return self._told(ask)

    def members(self, group: str) -> int:
        """How many live members a consumer group has."""

        def ask() -> int:
            (future,) = self._admin.describe_consumer_groups([group], request_timeout=self._seconds).values()
            return len(future.result().members)

        return self._told(ask)

    def _told(self, ask: Callable[[], T]) -> T:
        """Asks until what passes by itself has passed (a topic just created has no leader, a group no coordinator).

        Each time by a new client: one that has known a broker before its restart may cling to what it knew (librdkafka 2.16).
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                return ask()
            except KafkaException as error:
                self._admin = AdminClient(self._settings)
                if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                    raise TopicError(
                        f"Kafka did not answer ({error.args[0].str()}): start it, or correct KAFKA_BOOTSTRAP_SERVERS"
                    ) from error
                time.sleep(POLL_SECONDS)


def _retention(configs: Mapping[str, Any]) -> int | None:
    if "delete" not in configs["cleanup.policy"].value:
        return None
    milliseconds = int(configs["retention.ms"].value)
    return milliseconds if milliseconds >= 0 else None


def _answer(future: "Future[Any]", take: Callable[[Any], T]) -> T | None:
    """What was asked for, or None where Kafka answers with an error."""
    try:
        return take(future.result())
    except KafkaException:
        return None
