"""Which served values are explained by the order in which a worker met events: right, if not from all events of earlier times.

Training takes events in order of event time, whatever their topic; a worker as they arrive, partition by partition.
Where they arrive as fast as they happen the two are nearly the same. In a backlog, or a replay at a thousand times its pace, a
second between two topics is a quarter of an hour of event time, and most values of groups fed by another topic differ, rightly.

So a value that differs is looked for among those that the entity's own events, in order of arrival, give at the scored event's
time: after each of them that arrived within SLACK_SECONDS of the scored event. All columns of the group must fit the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from featurestore.columns import GroupReads
from featurestore.compute import Served, Touch, finish, serve_group, touch
from featurestore.entities import Interner
from featurestore.events import Bools, EventBatch, Floats, Ints
from featurestore.plan import FeaturePlan
from streams.monitor.skew_counts import mismatched
from streams.monitor.skew_vectors import place_of

# A worker takes the oldest record first, so partitions part by little more than a chunk and its commit.
SLACK_SECONDS = 10.0
TRIALS_MAX = 500  # of one value; in a replay of years within seconds there is no end to them
TRIALS_AT_ONCE = 100_000  # vectors in memory


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Every held event as one group meets it, (n,) each: entities' rows or -1, times and arrival in seconds, place, additions."""

    readers: Ints
    writers: Ints
    contributions: Floats
    times: Floats
    ingested: Floats
    partitions: Ints
    offsets: Ints
    scored: Bools

    @classmethod
    def of(cls, plan: FeaturePlan, reads: GroupReads, batches: Sequence[EventBatch]) -> "Met":
        interner = Interner(plan.shards, reads.group.on.missing)
        touched = [touch(plan, reads.group, batch, interner) for batch in batches]
        return cls(
            readers=np.concatenate([one.readers for one in touched]),
            writers=np.concatenate([one.writers for one in touched]),
            contributions=np.concatenate([one.contributions for one in touched]),
            times=np.concatenate([batch.times for batch in batches]),
            ingested=np.concatenate([batch.ingested for batch in batches]),
            partitions=np.concatenate([batch.partitions for batch in batches]),
            offsets=np.concatenate([batch.offsets for batch in batches]),
            scored=np.concatenate([np.full(len(batch), batch.event is plan.scored) for batch in batches]),
        )


def explained(plan: FeaturePlan, batches: Sequence[EventBatch], places: Ints, vectors: Floats, wrong: Bools) -> Bools:
    """Which values that are `wrong`, bool (n, features), are explained; `vectors` were served at `places` of the scored topic."""
    out = np.zeros_like(wrong)
    for reads in plan.reads:
        rows = np.flatnonzero(wrong[:, reads.places].any(axis=1))
        if len(rows):
            found = _of_group(plan, reads, Met.of(plan, reads, batches), places[rows], vectors[np.ix_(rows, reads.places)])
            out[np.ix_(rows[found], reads.places)] = True
    for ratio in plan.ratios:
        parts = [ratio.numerator, ratio.denominator]
        out[:, ratio.place] = (out[:, parts] | ~wrong[:, parts]).all(axis=1) & wrong[:, parts].any(axis=1)
    return out & wrong


def _of_group(plan: FeaturePlan, reads: GroupReads, met: Met, places: Ints, served: Floats) -> Bools:
    """Which of these events' columns of the group, (n, columns), some order of arrival gives."""
    scored = np.flatnonzero(met.scored)
    keys = place_of(met.partitions[scored], met.offsets[scored])
    order = np.argsort(keys)
    events = scored[order[np.searchsorted(keys, places, sorter=order)]]
    # What feeds the group: an entity's events together, in order of arrival.
    fed = np.flatnonzero(met.writers >= 0)
    fed = fed[np.lexsort((met.offsets[fed], met.partitions[fed], met.ingested[fed], met.writers[fed]))]
    own_topic = plan.scored is reads.group.on.event
    trials = [_trials(met, fed, event, own_topic) for event in events.tolist()]
    out = np.zeros(len(events), dtype=np.bool_)
    together = np.cumsum([len(one) for one in trials]) // TRIALS_AT_ONCE
    for chosen in np.split(np.arange(len(events)), np.flatnonzero(np.diff(together)) + 1):
        after = np.concatenate([trials[i] for i in chosen.tolist()])
        tried = np.repeat(chosen, [len(trials[i]) for i in chosen.tolist()])
        vectors = _vectors_after(plan, reads, met, fed, events[tried], after)
        out[tried[~mismatched(vectors, served[tried]).any(axis=1)]] = True
    return out


def _trials(met: Met, fed: Ints, event: int, own_topic: bool) -> Ints:
    """Before which of the entity's events (positions in `fed`, or one past them) the scored event may have been served.

    Of its own partition just what lies before it was counted.
    """
    bounds = np.searchsorted(met.writers[fed], [met.readers[event], met.readers[event] + 1])
    own = fed[bounds[0] : bounds[1]]
    arrived = met.ingested[event]
    first, here, last = np.searchsorted(met.ingested[own], [arrived - SLACK_SECONDS, arrived, arrived + SLACK_SECONDS + 1e-3])
    if own_topic:
        beside = np.flatnonzero(met.partitions[own] == met.partitions[event])
        before = int((met.offsets[own[beside]] < met.offsets[event]).sum())
        first = max(first, beside[before - 1] + 1) if before else first
        last = min(last, beside[before]) if before < len(beside) else last
    first, last = max(first, here - TRIALS_MAX // 2), min(last, here + TRIALS_MAX // 2)
    return np.arange(bounds[0] + first, bounds[0] + last + 1, dtype=np.int64)


def _vectors_after(plan: FeaturePlan, reads: GroupReads, met: Met, fed: Ints, events: Ints, after: Ints) -> Floats:
    """The group's columns, (n, columns), of `events` at their times, from their entities' events before `after` in `fed`."""
    entities, rows = np.unique(met.readers[events], return_inverse=True)
    writers = np.flatnonzero(np.isin(met.writers[fed], entities))
    reading = np.arange(len(writers) + len(events)) >= len(writers)
    order = np.lexsort((~reading, np.concatenate([writers, after])))  # a trial before the event at its position
    nobody = np.full(len(reading), -1, dtype=np.int64)
    readers, written = nobody.copy(), nobody.copy()
    readers[reading] = rows
    written[~reading] = np.searchsorted(entities, met.writers[fed[writers]])
    together = np.concatenate([fed[writers], events])[order]
    contributions = np.where(reading[order, None], 0.0, met.contributions[together])
    only = replace(plan, reads=(reads,), ratios=())
    served = Served.unfilled(len(order), only)
    states = np.tile(reads.group.empty, (len(entities), 1))
    serve_group(only, reads, states, Touch(readers[order], written[order], contributions), met.times[together], served)
    finish(only, served)
    out = np.empty((len(order), len(reads.places)))
    out[order] = served.vectors[:, reads.places]
    return out[reading]
