"""What went in: every record of the source topics as Kafka has it, accepted or rejected by the worker's own rule."""

from dataclasses import dataclass
from typing import Any

from featurestore.events import EventBatch, contract
from featurestore.plan import FeaturePlan
from streams.chunk import Chunk
from streams.codec import Decoder
from tests.faults.reading import Topics

Place = tuple[str, int]  # topic and partition


@dataclass(frozen=True, slots=True)
class Raw:
    """A record as the decoder takes it."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int
    timestamp_type: int
    headers: tuple[()] = ()


class Sources:
    """Accepted events as batches, and rejects by position; `read_on` takes in what came since."""

    def __init__(self, bootstrap_servers: str, plan: FeaturePlan, future_skew_seconds: float) -> None:
        self.topics = [contract(event).topic for event in plan.events]
        self.batches: list[EventBatch] = []
        self.rejects: dict[tuple[str, int, int], str] = {}
        self._decoders = {contract(event).topic: Decoder(event, future_skew_seconds) for event in plan.events}
        self._reader = Topics(bootstrap_servers, self.topics)

    def read_on(self) -> None:
        for messages in self._reader.read_on():
            by_place: dict[Place, list[Raw]] = {}
            for message in messages:
                by_place.setdefault((message.topic(), message.partition()), []).append(_raw(message))
            for (topic, partition), records in by_place.items():
                batch, rejects = self._decoders[topic](Chunk(topic, partition, records))  # type: ignore[arg-type]
                self.batches += [batch] if len(batch) else []
                self.rejects |= {(topic, partition, reject.record.offset): reject.reason for reject in rejects}

    def ends(self) -> dict[Place, int]:
        return self._reader.ends()

    def close(self) -> None:
        self._reader.close()


def _raw(message: Any) -> Raw:
    return Raw(message.key(), message.value(), message.offset(), message.timestamp()[1], message.timestamp()[0])
