"""Reading whole topics, from their beginning up to the end that they have now, again and again as they grow."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

READ_SECONDS = 180.0  # hundreds of new partitions take a busy machine a minute and more
BATCH = 5_000


def retrying(call: Any, seconds: float = READ_SECONDS) -> Any:
    """Calls until Kafka answers; TimeoutError after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Kafka did not answer within {seconds:.0f} s: {error.args[0]}") from error
            time.sleep(0.2)


def consumer(bootstrap_servers: str, group: str | None = None) -> Consumer:
    """A consumer that commits nothing; without a group of its own it only reads."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group or f"faults-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 500,
            "topic.metadata.refresh.interval.ms": 5_000,
            "log_level": 0,
        }
    )


def admin(bootstrap_servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers, "reconnect.backoff.max.ms": 500, "log_level": 0})


class Topics:
    """Some topics, read to their ends. `read_on` returns what came since it was called last."""

    def __init__(self, bootstrap_servers: str, topics: Sequence[str]) -> None:
        self._topics = list(topics)
        self._consumer = consumer(bootstrap_servers)
        self._bootstrap_servers = bootstrap_servers
        self._admin = admin(bootstrap_servers)
        self._positions: dict[tuple[str, int], int] = {}
        self.assign()

    def assign(self) -> None:
        """Begins with partitions that are new; what was read before goes on where it was."""
        known = retrying(lambda: self._consumer.list_topics(timeout=10)).topics
        found = [(topic, partition) for topic in self._topics if topic in known for partition in known[topic].partitions]
        places = [TopicPartition(t, p, self._positions.get((t, p), OFFSET_BEGINNING)) for t, p in found]
        self._positions |= {place: self._positions.get(place, 0) for place in found}
        self._consumer.assign(places)

    def forget(self, topics: Sequence[str]) -> None:
        """Reads these no more; `assign` begins anew where topics of these names exist then."""
        self._positions = {place: offset for place, offset in self._positions.items() if place[0] not in topics}
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._positions.items()])

    def ends(self) -> dict[tuple[str, int], int]:
        """Each partition's end offset now.

        After a broker's restart, a consumer that nobody polls answers "all brokers down" long after they are back, and an admin
        client asks with the leader epoch that it knew before. So a client that failed is replaced.
        """
        latest = {TopicPartition(*place): OffsetSpec.latest() for place in self._positions}

        def ask() -> dict[tuple[str, int], int]:
            try:
                found = self._admin.list_offsets(latest, request_timeout=10)
                return {(place.topic, place.partition): int(future.result().offset) for place, future in found.items()}
            except KafkaException:
                self._admin = admin(self._bootstrap_servers)
                raise

        found: dict[tuple[str, int], int] = retrying(ask)
        return found

    def poll(self, seconds: float) -> list[Any]:
        """Messages that are there, or come within so many seconds."""
        messages = []
        for message in self._consumer.consume(BATCH, timeout=seconds):
            if message.error() is None:
                self._positions[message.topic(), message.partition()] = message.offset() + 1
                messages.append(message)
        return messages

    def reached(self, ends: dict[tuple[str, int], int]) -> bool:
        return all(self._positions.get(place, 0) >= end for place, end in ends.items())

    def read_on(self, seconds: float = READ_SECONDS) -> Iterator[list[Any]]:
        """Batches of messages up to the ends that the partitions have now; TimeoutError where they are not reached."""
        ends, deadline = self.ends(), time.monotonic() + seconds
        while not self.reached(ends):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{', '.join(self._topics)} were not read to their ends within {seconds:.0f} s")
            yield self.poll(0.2)

    def close(self) -> None:
        self._consumer.close()
