"""How fresh a pipeline's feature groups were when they were served, from a window's ages.

An age is event time: from the entity's newest event in the group to the event that was scored. One old age means a quiet entity;
a feed that stands still shows as all of them old, the youngest growing from window to window by the time that passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitors.metrics import AGE_BUCKETS
from monitors.quality_tally import Ints, QualityTally

# With fewer, a feed of which this window read only quiet entities looks like one that stands still: nothing is said then.
KNOWN_AGES_MIN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One group in one window, as streams.monitor.records.Feed has it: ages and limit in seconds, ratios of the window's events.

    ``missing_ratio``: the entity had no event in the group, or no id; ``stale_ratio``: its newest was older than the limit.
    Quantiles are of the known ages, None without any. ``fresh``: the youngest age is within the limit; None where fewer than
    KNOWN_AGES_MIN are known and none of them is.
    """

    group: str
    missing_ratio: float
    stale_ratio: float
    youngest_age: float | None
    age_p50: float | None
    age_p95: float | None
    limit: float
    fresh: bool | None


def feeds(tally: QualityTally, groups: Sequence[str]) -> list[Feed]:
    """How fresh each group was; `groups` are the names in the order of the ages. None of a window without events."""
    if tally.n == 0:
        return []
    return [_feed(tally, place, group) for place, group in enumerate(groups)]


def _feed(tally: QualityTally, place: int, group: str) -> Feed:
    counts, youngest, limit = tally.ages[place], float(tally.youngest[place]), float(tally.age_limits[place])
    known = int(counts.sum())
    return Feed(
        group=group,
        missing_ratio=1 - known / tally.n,
        stale_ratio=int(tally.older[place]) / tally.n,
        youngest_age=youngest if known else None,
        age_p50=age_quantile(counts, youngest, 0.5),
        age_p95=age_quantile(counts, youngest, 0.95),
        limit=limit,
        fresh=True if youngest <= limit else None if known < KNOWN_AGES_MIN else False,
    )


def age_quantile(counts: Ints, youngest: float, q: float) -> float | None:
    """The q-quantile of ages counted in AGE_BUCKETS, in seconds; None where nothing was counted.

    Within a bucket by the straight line between its bounds, as Prometheus' histogram_quantile does; the lower bound is never less
    than the youngest age. Above all bounds the last of them is said, being the least that is certain.

    >>> age_quantile(np.array([0, 0, 0, 10, 0, 0, 0, 0, 0, 0]), 60.0, 0.5)  # ten ages between 60 and 300 s
    180.0
    """
    total = int(counts.sum())
    if total == 0:
        return None
    cumulative = np.cumsum(counts)
    bucket = int(np.searchsorted(cumulative, q * total))
    if bucket == len(AGE_BUCKETS):
        return max(AGE_BUCKETS[-1], youngest)
    low = max(AGE_BUCKETS[bucket - 1] if bucket else 0.0, min(youngest, AGE_BUCKETS[bucket]))
    inside = (q * total - float(cumulative[bucket] - counts[bucket])) / float(counts[bucket])
    return low + (AGE_BUCKETS[bucket] - low) * min(max(inside, 0.0), 1.0)
