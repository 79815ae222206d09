"""Tidegate's feature store for one event at a time: what a user of another framework would have to write instead.

It neither reads nor writes by itself: it says which Redis commands to send, so that each peer sends them with the client and in
the way that its framework's users do. The bytes in Redis, the kernel and the merge script are the product's, so that predictions
are too. Session, which the worker uses, is made for chunks: with one event in each it costs 0.7 ms of an event's CPU, and a peer
must not pay for that.

Left out: null and compound entities, feeds, shared groups, freshness policies' dead letters, recovery.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from featurestore.compute import GroupChunk, Served, Touch, serve
from featurestore.entities import Entities, encode_entity, shard_of
from featurestore.events import EventBatch, Floats, Source, contract
from featurestore.layout import Group, Slot
from featurestore.plan import FeaturePlan
from featurestore.redis_store import MERGE_SHA

Command = tuple[Any, ...]
_HERE = np.zeros(1, dtype=np.int64)  # the one event reads and writes the one entity
_OP_LETTERS = "+<>^."  # as featurestore/merge.lua reads them


class Position(NamedTuple):
    """Where an event's record lies, and when the broker got it (seconds)."""

    topic: str
    partition: int
    offset: int
    ingested: float


@dataclass(frozen=True, slots=True)
class Part:
    """One group's part in one event: its entity, and the keys of its shard's fence and of its state."""

    group: Group
    id: bytes
    shard: int
    fence: bytes
    state: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One event's served vector (a batch of one), and the commands that merge it once it is published."""

    served: Served
    merges: list[Command]


class OneEvent:
    """Looks up, serves and merges single events of one plan.

    For each: send `reads`, give `serve` the answers, publish, send the result's `merges`.
    """

    def __init__(self, plan: FeaturePlan) -> None:
        self._plan, self._time = plan, contract(plan.scored).time
        self._prefixes = {group.name: f"{{{plan.namespace(group)}:".encode() for group in plan.groups}
        self._arguments = {
            group.name: ("".join(_OP_LETTERS[op] for op in group.ops), ",".join(map(str, group.rings))) for group in plan.groups
        }

    def parts(self, event: Any, position: Position) -> list[Part]:
        return [self._part(group, event, position) for group in self._plan.groups]

    def _part(self, group: Group, event: Any, position: Position) -> Part:
        id = encode_entity(getattr(event, group.by[0]))
        shard = shard_of(id, self._plan.shards)
        prefix = b"%s%d}" % (self._prefixes[group.name], shard)
        return Part(group, id, shard, b"%s:f:%s:%d" % (prefix, position.topic.encode(), position.partition), prefix + b":e:" + id)

    @staticmethod
    def reads(parts: Sequence[Part]) -> list[Command]:
        """One a group, all for one pipeline: the fence and the state."""
        return [("MGET", part.fence, part.state) for part in parts]

    def serve(self, event: Any, position: Position, parts: Sequence[Part], answers: Sequence[Sequence[bytes | None]]) -> Result:
        """The vector from the answers to `reads`; an event that a state holds already (a replay) is not added again."""
        batch = self._batch(event, position)
        contributions = _contributions(parts, batch)
        chunks = [
            GroupChunk(part.group, Entities([part.id], np.array([part.shard])), Touch(_HERE, _HERE, contributed))
            for part, contributed in zip(parts, contributions, strict=True)
        ]
        states = [_state(part.group, value) for part, (_, value) in zip(parts, answers, strict=True)]
        fences = [-1 if fence is None else int(fence) for fence, _ in answers]
        applies = [np.array([position.offset > fence]) for fence in fences]
        time = float(batch.times[0])
        merges = [
            self._merge(part, fence, position.offset, _packed(part.group, time, contributed[0].tolist()))
            for part, fence, contributed in zip(parts, fences, contributions, strict=True)
            if position.offset > fence
        ]
        return Result(serve(self._plan, batch, chunks, states, applies), merges)

    def _batch(self, event: Any, position: Position) -> EventBatch:
        return EventBatch(
            event=self._plan.scored,
            source=Source(position.topic, position.partition),
            offsets=np.array([position.offset]),
            ingested=np.array([position.ingested]),
            times=np.array([getattr(event, self._time)]),
            keys=[None],
            events=[event],
        )

    def _merge(self, part: Part, fence: int, offset: int, packed: bytes) -> Command:
        """What the store's merge script is called with; see featurestore/merge.lua."""
        ops, rings = self._arguments[part.group.name]
        return ("EVALSHA", MERGE_SHA, 2, part.fence, part.state, ops, rings, "", 0, 1, 1, fence, offset, packed)


def _state(group: Group, value: bytes | None) -> Floats:
    """An entity's state as one row, writable."""
    row = group.empty if value is None else np.frombuffer(value, dtype=np.float64)
    return row.reshape(1, -1).copy()


def _contributions(parts: Sequence[Part], batch: EventBatch) -> list[Floats]:
    """What the event adds in each group; groups that keep the same of the same fields share it."""
    found: dict[tuple[Slot, ...], Floats] = {}
    for part in parts:
        if part.group.slots not in found:
            found[part.group.slots] = part.group.contributions(batch)
    return [found[part.group.slots] for part in parts]


def _packed(group: Group, time: float, contribution: list[float]) -> bytes:
    """One event as kernel.pack writes the delta of it: its time, then of each window one tile, its number and its slots."""
    values = [time]
    for seconds in group.tile_seconds.tolist():
        values += (1.0, math.floor(time / seconds), *contribution)
    return struct.pack(f"<{len(values)}d", *values)
