"""Raw records as the transport hands them over, for tests without a broker."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from featurestore.events import Event, contract
from streams.chunk import Chunk
from streams.codec import encode_event, event_key


@dataclass(frozen=True, slots=True)
class RawRecord:
    """The part of a consumed record that is read."""

    value: bytes | None
    offset: int = 0
    key: bytes | None = None
    timestamp: int = 1_700_000_000_000
    timestamp_type: int = 1
    headers: Sequence[tuple[str, bytes | None]] = field(default=())


def chunk(values: Sequence[bytes | None], topic: str = "sales", partition: int = 0, first: int = 0) -> Chunk:
    """Consecutive records with these values."""
    return Chunk(topic, partition, [RawRecord(value, first + i) for i, value in enumerate(values)])


def event_chunk(events: Sequence[Event], partition: int = 0, first: int = 0) -> Chunk:
    """Consecutive records of these events, each ingested at its own event time."""
    agreed = contract(type(events[0]))
    records = [
        RawRecord(encode_event(event), first + i, event_key(event), int(getattr(event, agreed.time) * 1000) + 1)
        for i, event in enumerate(events)
    ]
    return Chunk(agreed.topic, partition, records)
