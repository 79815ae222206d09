"""How many events a window should have where none are declared: enough that a thousand independent ones are in it."""

from collections.abc import Iterable

import numpy as np

from monitors.drift.null import CHUNKS_MIN
from monitors.drift.statistics import Counts, expected_psi, psis

EFFECTIVE_EVENTS = 1_000.0  # with ten bins, 0.2 sd of one in twenty features is then found
EVENTS_LEAST, EVENTS_MOST = 1_000, 20_000
GRANULE_EVENTS = 500
SIZES = (1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_000, 10_000, 14_000, 20_000)  # whole granules


def effective_events(granules: Counts) -> list[float]:
    """For each of `SIZES` the effective events of a window of it; NaN where the reference has too few windows of the size.

    ``granules`` (granules, bins): counts of one feature in `GRANULE_EVENTS` consecutive rows each.
    """
    return [_effective(granules, size) for size in SIZES]


def _effective(granules: Counts, size: int) -> float:
    each = size // GRANULE_EVENTS
    windows = len(granules) // each
    if windows < CHUNKS_MIN:
        return float("nan")
    counts = granules[: windows * each].reshape(windows, each, -1).sum(axis=1)
    total = counts.sum(axis=0)
    used = total > 0
    independent = expected_psi(max(int(used.sum()), 2), size, int(total.sum()) - size)
    mean = float(psis(counts[:, used], (total - counts)[:, used]).mean())
    return size / max(mean / independent, 1.0) if mean else float(size)


def auto_events(effective: Iterable[list[float]]) -> int:
    """The least of `SIZES` at which the median feature has `EFFECTIVE_EVENTS`; the largest that can be judged where none has."""
    table = np.array(list(effective)).reshape(-1, len(SIZES))
    best = EVENTS_LEAST
    for size, column in zip(SIZES, table.T, strict=True):
        known = column[~np.isnan(column)]
        if not len(known):
            break
        best = size
        if np.median(known) >= EFFECTIVE_EVENTS * 0.98:  # an independent feature has its 1,000 but for the fit's noise
            break
    return best
