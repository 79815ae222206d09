"""What flows from Kafka to the flow: a chunk, the handler that takes it, and the hooks around an assignment.

Kafka itself is reached in transport.py; what a handler does with a chunk is the flow's own affair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

PACE_MS = 40  # why: docs/decisions.md, "Chunks of several partitions, computed as one"


class TP(NamedTuple):
    """Topic and partition; equal to (and hashed as) the ones of Faust and aiokafka, which are named tuples too."""

    topic: str
    partition: int


class Record(Protocol):
    """The part of aiokafka's ConsumerRecord that we use."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...  # milliseconds since the epoch
    @property
    def timestamp_type(self) -> int: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive raw records of one partition, in offset order, never empty."""

    topic: str
    partition: int
    records: list[Record]

    @property
    def tp(self) -> TP:
        return TP(self.topic, self.partition)

    @property
    def first_offset(self) -> int:
        return self.records[0].offset

    @property
    def last_offset(self) -> int:
        return self.records[-1].offset


class Handler(Protocol):
    """Takes chunks of one topic, each of another partition, together; returns when their offsets may be committed."""

    def __call__(self, *chunks: Chunk) -> Awaitable[None]: ...


class Hooks(Protocol):
    """What the flow does around an assignment; a raised exception crashes the app with its message."""

    async def on_assigned(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        """Before any record of a new assignment; returns where partitions must start other than at `committed`."""

    async def before_commit(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        """With what is done (offset = next to read); returns what of it may be committed."""

    async def on_revoked(self, tps: Set[TP]) -> None:
        """After the drain and the commit."""


class NoHooks:
    """Start where the group committed; commit what is done."""

    async def on_assigned(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        return {}

    async def before_commit(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        return offsets

    async def on_revoked(self, tps: Set[TP]) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How the transport cuts and hands out chunks."""

    topics: frozenset[str]
    handler: Handler
    hooks: Hooks
    in_flight: int = 2  # 36,800 -> 62,100 events/s against 1: one chunk's waits overlap another's compute
    max_chunk_events: int = 2000  # 100-200 ms of work at most (pitfall 15); of all chunks that are handed out together
    max_joined: int = 1  # so many partitions' chunks are handed out together
    pace_seconds: float = 0.0  # from one chunk of a topic to its next at least, unless a full one waits
    max_buffered_events: int = 16_000  # over all partitions; fetching pauses for those that hold their share
    max_lead_seconds: Mapping[str, float] = field(default_factory=dict)  # per topic; absent: no bound
    drain_seconds: float = 5.0  # revocation and SIGTERM wait this long for handlers (pitfalls 5, 18)
    fetch_wait_ms: int = 15
    fetch_min_bytes: int = 100_000
    idle_fetch_wait_ms: int = 250
    assignor: Any = None  # aiokafka's; None: partitions are shared out in turn
