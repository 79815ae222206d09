"""From a chunk of events and its entities' states to served vectors and deltas, by way of the kernel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from featurestore import freshness, kernel
from featurestore.columns import GroupReads
from featurestore.entities import Entities, Interner
from featurestore.events import Bools, EventBatch, Floats, Ints
from featurestore.freshness import Marks
from featurestore.layout import Group
from featurestore.plan import FeaturePlan


@dataclass(frozen=True, slots=True, eq=False)
class Touch:
    """How events meet one group: for each event the row of the entity it reads and of the one it is added to (-1: none)."""

    readers: Ints
    writers: Ints
    contributions: Floats  # (n, slots); zeros where the group is fed by another topic


@dataclass(frozen=True, slots=True, eq=False)
class GroupChunk:
    """One group's part in one chunk: its entities, and how the events meet them."""

    group: Group
    entities: Entities
    touch: Touch


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Served vectors: float64 (n, features), NaN for missing; and what is worth knowing of each event.

    ``ages`` float64 (n, groups), seconds since the entity's newest event in each group, NaN if it has none; ``late`` bool (n,):
    a window's tail was no longer kept; ``missing`` bool (n,): an entity's id was null or declared missing; ``stale`` bool (n,):
    a value was older than its max_age; ``refused`` bool (n,): a value is not fresh and its policy says not to score. ``marks``
    uint8 (n, features), each value's freshness.FRESH, STALE or MISSING; None where no policy is declared.
    """

    vectors: Floats
    ages: Floats
    late: Bools
    missing: Bools
    stale: Bools
    refused: Bools
    marks: Marks | None = None

    @classmethod
    def unfilled(cls, n: int, plan: FeaturePlan) -> "Served":
        late, missing, stale, refused = (np.zeros(n, dtype=np.bool_) for _ in range(4))
        vectors, ages = np.full((n, len(plan.schema)), np.nan), np.full((n, len(plan.reads)), np.nan)
        marks = np.zeros(vectors.shape, dtype=np.uint8) if any(reads.policies for reads in plan.reads) else None
        return cls(vectors, ages, late, missing, stale, refused, marks)

    def take(self, rows: Ints | Bools) -> "Served":
        """The events picked, as copies."""
        return Served(
            vectors=self.vectors[rows],
            ages=self.ages[rows],
            late=self.late[rows],
            missing=self.missing[rows],
            stale=self.stale[rows],
            refused=self.refused[rows],
            marks=None if self.marks is None else self.marks[rows],
        )

    def states(self) -> dict[str, int]:
        """How many of the values are fresh, stale (older than their max_age) and missing: counts by these names."""
        return freshness.count(self.marks, self.vectors)


def touch(
    plan: FeaturePlan,
    group: Group,
    batch: EventBatch,
    interner: Interner,
    contribute: Callable[[Group, EventBatch], Floats] = Group.contributions,
) -> Touch:
    """Which entities of the group this batch reads (if it is scored) and writes (if the group is fed by its topic)."""
    none = np.full(len(batch), -1, dtype=np.int64)
    scored, writes = batch.event is plan.scored, batch.event is group.on.event
    writers = interner.rows([batch.column(field) for field in group.by]) if writes else none
    if not scored:
        readers = none
    elif writes and group.read_by == group.by:
        readers = writers
    else:
        readers = interner.rows([batch.column(field) for field in group.read_by])
    contributions = contribute(group, batch) if writes else np.zeros((len(batch), len(group.slots)))
    return Touch(readers, writers, contributions)


def group_chunk(plan: FeaturePlan, group: Group, batch: EventBatch) -> GroupChunk:
    """Interns a chunk's entities of one group."""
    interner = Interner(plan.shards, group.on.missing)
    touched = touch(plan, group, batch, interner, _shared)
    return GroupChunk(group, interner.entities(), touched)


def _shared(group: Group, batch: EventBatch) -> Floats:
    """What the batch's events add in all groups of these slots: such a group's contributions, kept with the batch."""
    return batch.once(group.slots, partial(group.contributions, batch))


def serve(
    plan: FeaturePlan, batch: EventBatch, chunks: Sequence[GroupChunk], states: Sequence[Floats], applies: Sequence[Bools]
) -> Served:
    """The vectors of a scored batch. `chunks`, `states` (changed in place) and `applies` have one entry a group, in plan order.

    applies bool (n,): which events the states do not contain yet (those above their shard's fence).
    """
    served = Served.unfilled(len(batch), plan)
    for reads, chunk, state, applied in zip(plan.reads, chunks, states, applies, strict=True):
        writers = np.where(applied, chunk.touch.writers, -1)
        serve_group(plan, reads, state, Touch(chunk.touch.readers, writers, chunk.touch.contributions), batch.times, served)
    fill_event_columns(plan, batch, served.vectors)
    finish(plan, served)
    return served


def serve_group(plan: FeaturePlan, reads: GroupReads, states: Floats, touched: Touch, times: Floats, served: Served) -> None:
    """One kernel pass: fills the group's columns, ages and flags in `served`; adds the events to `states`, in order."""
    group = reads.group
    out = np.full((len(times), len(reads.places)), np.nan)
    ages = np.full(len(times), np.nan)
    kernel.serve(
        states, touched.readers, touched.writers, times, touched.contributions, group.on.including_self,
        group.tile_seconds, group.spans, group.rings, group.decays, group.starts, group.ops, group.leaders,
        reads.columns, reads.mids, out, ages, served.late,
    )  # fmt: skip
    served.vectors[:, reads.places] = out
    served.ages[:, plan.reads.index(reads)] = ages
    served.missing[touched.readers < 0] = True


def fill_event_columns(plan: FeaturePlan, batch: EventBatch, vectors: Floats) -> None:
    """Fills the columns that depend on the scored event alone."""
    for column in plan.event_columns:
        vectors[:, column.place] = column.compute(batch)


def finish(plan: FeaturePlan, served: Served) -> None:
    """The last step, once all other columns are filled: what is not fresh gives way to its policy, then ratios are taken."""
    judged = []
    for reads, ages in zip(plan.reads, served.ages.T, strict=True):
        for policy in reads.policies:
            places = reads.places[policy.columns]
            served.vectors[:, places], marks = policy.apply(served.vectors[:, places], ages)
            freshness.flag(marks, policy, served.stale, served.refused)
            judged.append((places, marks))
    fill_ratios(plan, served.vectors)
    if served.marks is not None:
        served.marks[:] = np.where(np.isnan(served.vectors), freshness.MISSING, freshness.FRESH)
        for places, marks in judged:
            served.marks[:, places] = marks


def fill_ratios(plan: FeaturePlan, vectors: Floats) -> None:
    """Fills the columns that are one column divided by another; the others must be filled."""
    for ratio in plan.ratios:
        above, below = vectors[:, ratio.numerator], vectors[:, ratio.denominator]
        np.divide(above, below, out=vectors[:, ratio.place], where=below != 0)


def deltas(chunk: GroupChunk, times: Floats, applies: Bools) -> Floats:
    """What the events that `applies` picks add to each entity: states, float64 (entities, length)."""
    return accumulated(chunk, times, applies)[0]


def accumulated(chunk: GroupChunk, times: Floats, applies: Bools) -> tuple[Floats, int]:
    """The deltas, and how often one of these events came too late even for its own chunk's, counted by window."""
    group = chunk.group
    out = np.tile(group.empty, (len(chunk.entities), 1))
    writers = np.where(applies, chunk.touch.writers, -1)
    dropped = kernel.accumulate(
        out, writers, times, chunk.touch.contributions,
        group.tile_seconds, group.rings, group.starts, group.ops, group.leaders,
    )  # fmt: skip
    return out, dropped
