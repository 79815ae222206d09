"""How far the workers' commits are behind the topics' ends, read from outside: a stalled worker does not report its own stall."""

from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Lag:
    """Records not committed yet: of all partitions together, and of the worst one."""

    total: int = 0
    maximum: int = 0


class LagReader:
    """Asks about a group without joining it."""

    def __init__(self, bootstrap_servers: str, group: str, topics: list[str]) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": group, "enable.auto.commit": False, "log_level": 0}
        )
        known = self._consumer.list_topics(timeout=TIMEOUT_SECONDS).topics
        self._partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]

    def ends(self) -> dict[tuple[str, int], int]:
        """Each partition's end."""
        return {(tp.topic, tp.partition): self._range(tp)[1] for tp in self._partitions}

    def read(self) -> Lag:
        """KafkaException where the broker does not answer."""
        committed = self._consumer.committed(self._partitions, timeout=TIMEOUT_SECONDS)
        behind = []
        for tp in committed:
            first, end = self._range(tp)
            behind.append(end - max(tp.offset, first))  # a negative offset says that nothing was committed
        return Lag(sum(behind), max(behind))

    def skip(self) -> None:
        """Commits the ends for the group, which must have no member: its first one begins there."""
        ends = [TopicPartition(topic, number, end) for (topic, number), end in self.ends().items()]
        self._consumer.commit(offsets=ends, asynchronous=False)

    def close(self) -> None:
        self._consumer.close()

    def _range(self, tp: TopicPartition) -> tuple[int, int]:
        first, end = self._consumer.get_watermark_offsets(TopicPartition(tp.topic, tp.partition), timeout=TIMEOUT_SECONDS)
        return first, end
