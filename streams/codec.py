"""Bytes to events: a chunk of raw records becomes one EventBatch of what keeps its contract, and rejects for the rest.

Accepting is a function of the record alone, never of the worker's clock, so that a replay decides the same.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from featurestore.broken import expectation
from featurestore.events import Event, EventBatch, FieldType, Source, contract, field_types
from featurestore.personal import Pseudonyms, hider
from streams.chunk import Chunk, Record

LARGEST_INT = 2**64  # ids may use all 64 bits; JSON's whole numbers have any number of digits
# Both come back in the prediction, which must fit into a record whatever producers send.
ID_CHARACTERS, KEY_BYTES = 1_024, 65_536
# What decoding a hostile record may raise: not JSON or not the contract, bytes that are not UTF-8, endless nesting, no value.
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is not an event: one of streams.records.REASONS, the field at fault, and what was expected of it."""

    record: Record
    reason: str
    field: str | None
    detail: str


class Decoder:
    """Decodes the chunks of one topic.

    ``future_skew_seconds`` is how far an event's time may lie past its record's timestamp: a clock that far ahead is a fault.
    ``pseudonyms`` take the place of personal values: nothing but a reject's record holds one afterwards. HashKeyError where the
    contract has personal fields and they are None.
    """

    def __init__(self, event: type[Event], future_skew_seconds: float, pseudonyms: Pseudonyms | None = None) -> None:
        self._event, self._hide = event, hider(event, pseudonyms)
        self._time, self._id = contract(event).time, contract(event).id
        self._skew = future_skew_seconds
        self._unbounded = [name for name, found in field_types(event).items() if found.kind == "int" and not _bounded(found)]
        self._decode = msgspec.json.Decoder(event).decode

    def __call__(self, chunk: Chunk) -> tuple[EventBatch, list[Reject]]:
        """The chunk's events and its rejects, both in offset order; either may be empty."""
        decode = self._decode
        rejects: list[Reject] = []
        try:
            events: list[Any] = [decode(record.value) for record in chunk.records]  # type: ignore[arg-type]
            records = chunk.records
        except _BROKEN:
            events, records, rejects = self._one_by_one(chunk.records)
        return self._batch(chunk, events, records, rejects)

    def _one_by_one(self, records: list[Record]) -> tuple[list[Any], list[Record], list[Reject]]:
        events, kept, rejects = [], [], []
        for record in records:
            try:
                events.append(self._decode(record.value))  # type: ignore[arg-type]
                kept.append(record)
            except _BROKEN as error:
                rejects.append(_reject(record, error))
        return events, kept, rejects

    def _batch(
        self, chunk: Chunk, events: list[Any], records: list[Record], rejects: list[Reject]
    ) -> tuple[EventBatch, list[Reject]]:
        """The decoded events as columns; those with an impossible time or id join the rejects."""
        time, id = self._time, self._id
        for name in self._unbounded:
            events, records, rejects = _without_huge(name, events, records, rejects)
        times = np.array([getattr(event, time) for event in events], dtype=np.float64) + 0.0  # -0.0 is the same moment
        ingested = np.array([record.timestamp for record in records], dtype=np.float64) / 1000
        sizes = np.array([len(str(getattr(event, id))) for event in events], dtype=np.int64)
        keys = np.array([len(record.key or b"") for record in records], dtype=np.int64)
        sound = (times >= 0) & (times <= ingested + self._skew) & (sizes <= ID_CHARACTERS) & (keys <= KEY_BYTES)
        if not sound.all():
            refused = [self._refuse(records[i], times[i], sizes[i]) for i in np.flatnonzero(~sound)]
            rejects = [*rejects, *refused]
            kept = np.flatnonzero(sound)
            events, records = [events[i] for i in kept], [records[i] for i in kept]
            times, ingested = times[kept], ingested[kept]
        if self._hide is not None:
            self._hide(events)
        batch = EventBatch(
            event=self._event,
            source=Source(chunk.topic, chunk.partition),
            offsets=np.array([record.offset for record in records], dtype=np.int64),
            ingested=ingested,
            times=times,
            # A producer may have keyed the record by whatever it liked: with personal fields its key is never passed on.
            keys=[record.key for record in records] if self._hide is None else [event_key(event) for event in events],
            events=events,
        )
        return batch, sorted(rejects, key=lambda reject: reject.record.offset)

    def _refuse(self, record: Record, time: float, id_size: int) -> Reject:
        if not time >= 0:
            return Reject(record, "time", f"$.{self._time}", "before 1970; seconds since the epoch are expected")
        if time > record.timestamp / 1000 + self._skew:
            return Reject(record, "future", f"$.{self._time}", f"more than {self._skew:g} s after the record's timestamp")
        if id_size > ID_CHARACTERS:
            return Reject(record, "oversize", f"$.{self._id}", f"an event id of more than {ID_CHARACTERS} characters")
        return Reject(record, "oversize", None, f"a message key of more than {KEY_BYTES} bytes")


def _bounded(declared: FieldType) -> bool:
    low, high = declared.low, declared.high
    return low is not None and high is not None and low >= -LARGEST_INT and high <= LARGEST_INT


def _without_huge(
    name: str, events: list[Any], records: list[Record], rejects: list[Reject]
) -> tuple[list[Any], list[Record], list[Reject]]:
    """Leaves out events in which this field is a whole number too large to compute with."""
    huge = {i for i, event in enumerate(events) if not -LARGEST_INT <= (getattr(event, name) or 0) <= LARGEST_INT}
    if not huge:
        return events, records, rejects
    detail = "a whole number of more than 64 bits"
    refused = [Reject(records[i], "contract", f"$.{name}", detail) for i in sorted(huge)]
    kept = [i for i in range(len(events)) if i not in huge]
    return [events[i] for i in kept], [records[i] for i in kept], [*rejects, *refused]


def _reject(record: Record, error: Exception) -> Reject:
    if not record.value:
        return Reject(record, "empty", None, "the record has no value")
    if isinstance(error, msgspec.ValidationError):
        return Reject(record, "contract", *expectation(error))
    return Reject(record, "malformed", None, "not JSON in UTF-8")


def encode_event(event: Event) -> bytes:
    """An event as producers put it on its topic."""
    return msgspec.json.encode(event)


def event_key(event: Event) -> bytes | None:
    """The message key that the event's contract names; None where the field is."""
    value = getattr(event, contract(event.__class__).key)
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
