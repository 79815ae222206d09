"""The same features over recorded history: a training matrix, and the states at its end.

Events are taken in the reference order (event time, topic, partition, offset), all topics together. A worker that is fed this
order serves bit-equal vectors; whatever the order, it ends with byte-equal states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestore.columns import GroupReads
from featurestore.compute import Served, Touch, fill_event_columns, finish, serve_group, touch
from featurestore.entities import Interner
from featurestore.events import Bools, EventBatch, Floats, Ints
from featurestore.plan import FeaturePlan


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The scored events of a history in reference order, what would have been served, and the final states.

    ``events`` and ``times`` (float64, seconds) have one entry a row of ``served``; ``states`` maps a group's name to its
    entities' final states, entity id to bytes.
    """

    events: list[Any]
    times: Floats
    served: Served
    states: dict[str, dict[bytes, bytes]]


def reference_order(batches: Sequence[EventBatch]) -> Ints:
    """The positions of all events, batches concatenated, in order of (event time, topic, partition, offset); int64."""
    topics = sorted({batch.source.topic for batch in batches})
    return np.lexsort(
        (
            np.concatenate([batch.offsets for batch in batches]),
            np.concatenate([batch.partitions for batch in batches]),
            np.concatenate([np.full(len(batch), topics.index(batch.source.topic)) for batch in batches]),
            np.concatenate([batch.times for batch in batches]),
        )
    )


def compute(plan: FeaturePlan, batches: Sequence[EventBatch]) -> History:
    """Runs the kernel over a whole history; `batches` may come in any order and of any size."""
    order = reference_order(batches)
    times = np.concatenate([batch.times for batch in batches])[order]
    scored = np.concatenate([np.full(len(batch), batch.event is plan.scored) for batch in batches])[order]
    served = Served.unfilled(len(times), plan)
    states = {reads.group.name: _run_group(plan, reads, batches, order, times, served) for reads in plan.reads}
    events = [event for batch in batches for event in batch.events]
    return History(
        events=[events[i] for i in order[scored]],
        times=times[scored],
        served=_finish(plan, batches, order, scored, served),
        states=states,
    )


def _run_group(
    plan: FeaturePlan, reads: GroupReads, batches: Sequence[EventBatch], order: Ints, times: Floats, served: Served
) -> dict[bytes, bytes]:
    interner = Interner(plan.shards, reads.group.on.missing)
    touches = [touch(plan, reads.group, batch, interner) for batch in batches]
    entities = interner.entities()
    states = np.tile(reads.group.empty, (len(entities), 1))
    together = Touch(
        readers=np.concatenate([touched.readers for touched in touches])[order],
        writers=np.concatenate([touched.writers for touched in touches])[order],
        contributions=np.concatenate([touched.contributions for touched in touches])[order],
    )
    serve_group(plan, reads, states, together, times, served)
    written = np.unique(together.writers[together.writers >= 0])
    return {entities.ids[row]: states[row].tobytes() for row in written}


def _finish(plan: FeaturePlan, batches: Sequence[EventBatch], order: Ints, scored: Bools, served: Served) -> Served:
    """Keeps the scored events' rows, and fills the columns that depend on the event alone."""
    vectors = np.full((sum(map(len, batches)), len(plan.schema)), np.nan)
    start = 0
    for batch in batches:
        if batch.event is plan.scored:
            fill_event_columns(plan, batch, vectors[start : start + len(batch)])
        start += len(batch)
    places = [column.place for column in plan.event_columns]
    out = served.take(scored)
    out.vectors[:, places] = vectors[order[scored]][:, places]
    finish(plan, out)
    return out
