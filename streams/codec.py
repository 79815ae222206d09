"""Bytes to events: a chunk of raw records becomes one EventBatch of what keeps its contract, and rejects for the rest.

Accepting is a function of the record alone, never of the worker's clock, so that a replay decides the same.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from featurestore.events import Event, EventBatch, Source, contract
from streams.chunk import Chunk, Record

_FIELD = re.compile(r" - at `(.+)`$")
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
    """

    def __init__(self, event: type[Event], future_skew_seconds: float) -> None:
        self._event = event
        self._time = contract(event).time
        self._skew = future_skew_seconds
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
        return self._checked_times(chunk, events, records, rejects)

    def _one_by_one(self, records: list[Record]) -> tuple[list[Any], list[Record], list[Reject]]:
        events, kept, rejects = [], [], []
        for record in records:
            try:
                events.append(self._decode(record.value))  # type: ignore[arg-type]
                kept.append(record)
            except _BROKEN as error:
                rejects.append(_reject(record, error))
        return events, kept, rejects

    def _checked_times(
        self, chunk: Chunk, events: list[Any], records: list[Record], rejects: list[Reject]
    ) -> tuple[EventBatch, list[Reject]]:
        name = self._time
        times = np.array([getattr(event, name) for event in events], dtype=np.float64)
        ingested = np.array([record.timestamp for record in records], dtype=np.float64) / 1000
        sound = (times >= 0) & (times <= ingested + self._skew)
        if not sound.all():
            late_rejects = [self._reject_time(records[i], times[i]) for i in np.flatnonzero(~sound)]
            rejects = sorted([*rejects, *late_rejects], key=lambda reject: reject.record.offset)
            kept = np.flatnonzero(sound)
            events, records = [events[i] for i in kept], [records[i] for i in kept]
            times, ingested = times[kept], ingested[kept]
        batch = EventBatch(
            event=self._event,
            source=Source(chunk.topic, chunk.partition),
            offsets=np.array([record.offset for record in records], dtype=np.int64),
            ingested=ingested,
            times=times,
            keys=[record.key for record in records],
            events=events,
        )
        return batch, rejects

    def _reject_time(self, record: Record, time: float) -> Reject:
        field = f"$.{self._time}"
        if time >= 0:
            return Reject(record, "future", field, f"more than {self._skew:g} s after the record's timestamp")
        return Reject(record, "time", field, "before 1970; seconds since the epoch are expected")


def _reject(record: Record, error: Exception) -> Reject:
    if not record.value:
        return Reject(record, "empty", None, "the record has no value")
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        found = _FIELD.search(text)
        return Reject(record, "contract", found and found.group(1), text[: found.start()] if found else text)
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
