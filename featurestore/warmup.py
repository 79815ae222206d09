"""Compiles the kernel before it is needed: once for a machine, then it comes from Numba's cache on disk."""

from typing import Any

import msgspec
import numpy as np

from featurestore import compute, kernel
from featurestore.events import Event, EventBatch, Source, contract
from featurestore.plan import FeaturePlan


def warm(plan: FeaturePlan) -> None:
    """Runs every kernel function once over one made-up event of each kind, and throws the results away."""
    for event in plan.events:
        batch = EventBatch(
            event=event,
            source=Source(contract(event).topic, 0),
            offsets=np.zeros(1, dtype=np.int64),
            ingested=np.zeros(1),
            times=np.zeros(1),
            keys=[None],
            events=[_blank(event)],
        )
        applies = np.ones(1, dtype=np.bool_)
        chunks = [compute.group_chunk(plan, group, batch) for group in plan.groups]
        states = [np.tile(chunk.group.empty, (max(1, len(chunk.entities)), 1)) for chunk in chunks]
        if event is plan.scored:
            compute.serve(plan, batch, chunks, states, [applies] * len(chunks))
        for chunk in chunks:
            _warm_merge(chunk, compute.deltas(chunk, batch.times, applies))


def _warm_merge(chunk: compute.GroupChunk, deltas: Any) -> None:
    group = chunk.group
    state = group.empty.copy()
    kernel.merge(state, state.copy(), group.rings, group.starts, group.ops, group.leaders)
    room = np.empty((1 + len(deltas)) * (group.length + 1 + int(group.rings.sum())))
    kernel.pack(deltas, group.rings, group.starts, group.ops, room, np.zeros(len(deltas), dtype=np.int64))


def _blank(event: type[Event]) -> Event:
    """An event of the right types; its contract's bounds do not matter here."""
    blanks: dict[type, Any] = {
        msgspec.inspect.FloatType: 0.0,
        msgspec.inspect.IntType: 0,
        msgspec.inspect.BoolType: False,
        msgspec.inspect.StrType: "x",
    }
    described = msgspec.inspect.type_info(event)
    assert isinstance(described, msgspec.inspect.StructType)
    return event(**{field.name: blanks.get(type(field.type)) for field in described.fields})
