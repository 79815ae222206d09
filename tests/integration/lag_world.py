"""Topics, groups and a lag monitor of one test on the session's Kafka; other tests' groups do not match its pattern."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from monitors.lag_snapshot import PartitionLag, Snapshot
from streams.lag.watch import Watcher

TIMEOUT_SECONDS = 30.0
INTERVAL_SECONDS = 30.0  # so that a clock set forward by a window is no gap


class LagWorld:
    """Produces and commits at offsets that the test names; looks with a clock that it can set forward."""

    def __init__(self, kafka: str, make_topic: Callable[..., str], word: str) -> None:
        self.kafka, self.make_topic, self.word = kafka, make_topic, word
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self.ahead_seconds = 0.0
        self._runner = asyncio.Runner()
        self.watcher = self.monitor()

    def monitor(self) -> Watcher:
        """A monitor that knows nothing yet."""
        return Watcher(self.kafka, [f"{self.word}-*"], INTERVAL_SECONDS, lambda: time.time() + self.ahead_seconds)

    def close(self) -> None:
        self._runner.run(self.watcher.close())
        self._runner.close()

    def look(self) -> Snapshot:
        found = self._runner.run(self.watcher.look())
        assert self.watcher.error is None
        return found

    def look_anyhow(self) -> Snapshot:
        """One that may fail."""
        return self._runner.run(self.watcher.look())

    def seen(self, group: str, topic: str, partition: int = 0) -> PartitionLag:
        """One partition in a new look."""
        return found(self.look(), self.name(group), topic, partition)

    def name(self, group: str) -> str:
        return f"{self.word}-{group}"

    def topic(self, *, partitions: int = 1, producer_time: bool = False, **config: str) -> str:
        kind = "CreateTime" if producer_time else "LogAppendTime"
        return self.make_topic(self.word, partitions=partitions, **{"message.timestamp.type": kind, **config})

    def send(self, topic: str, records: int, *, partitions: Iterable[int] = (0,), size: int = 1) -> None:
        """A batch to each partition."""
        producer = self._producer()
        for partition in partitions:
            for _ in range(records):
                producer.produce(topic, b"x" * size, partition=partition)
        assert producer.flush(TIMEOUT_SECONDS) == 0

    def send_of_times(self, topic: str, times: Sequence[float], partition: int = 0) -> None:
        """A batch of a record for each of the producer's times, in seconds."""
        producer = self._producer()
        for time_seconds in times:
            producer.produce(topic, b"x", partition=partition, timestamp=int(time_seconds * 1000))
        assert producer.flush(TIMEOUT_SECONDS) == 0

    def _producer(self) -> Producer:
        return Producer({"bootstrap.servers": self.kafka, "linger.ms": 50, "batch.size": 1_000_000})

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """As a program does that is no member of the group."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": self.name(group), "enable.auto.commit": False})
        consumer.commit(offsets=[TopicPartition(*tp, offset) for tp, offset in offsets.items()], asynchronous=False)
        consumer.close()

    def member(self, group: str, topic: str, protocol: str = "classic") -> Consumer:
        """A joined consumer that has all partitions and has read something."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": self.name(group),
                "group.protocol": protocol,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([topic])
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while consumer.poll(0.1) is None:
            assert time.monotonic() < deadline, "the consumer got nothing"
        return consumer

    def append_times(self, topic: str, begin: int = 0) -> list[float]:
        """The broker's time of each record of partition 0 from an offset on, in seconds, read by another client."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "none", "enable.auto.commit": False})
        try:
            wanted = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=TIMEOUT_SECONDS)[1] - begin
            consumer.assign([TopicPartition(topic, 0, begin)])
            times: list[float] = []
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while len(times) < wanted:
                assert time.monotonic() < deadline, f"{len(times)} of {wanted} records"
                times += [
                    message.timestamp()[1] / 1000
                    for message in consumer.consume(wanted - len(times), timeout=0.2)
                    if not message.error()
                ]
            return times
        finally:
            consumer.close()

    def delete_groups(self, *groups: str) -> None:
        for future in self.admin.delete_consumer_groups([self.name(group) for group in groups]).values():
            future.result(TIMEOUT_SECONDS)

    def delete_topic(self, topic: str) -> None:
        self.admin.delete_topics([topic])[topic].result(TIMEOUT_SECONDS)
        self.until(lambda: topic not in self.admin.list_topics(timeout=TIMEOUT_SECONDS).topics)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def found(snapshot: Snapshot, group: str, topic: str, partition: int = 0) -> PartitionLag:
    (one,) = [one for one in snapshot.partitions if one.where == (group, topic, partition)]
    return one


def wheres(snapshot: Snapshot) -> Sequence[tuple[str, str, int]]:
    return sorted(one.where for one in snapshot.partitions)
