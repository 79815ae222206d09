"""The minimum detectable shift: what a window could have found, measured on the reference's own held-out chunks.

The chunks are shifted and held against the rule that judges windows, so that autocorrelation, ties and tails are what they are.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from scipy.special import ndtri

from monitors.drift.bins import chunk_counts
from monitors.drift.null import Null
from monitors.drift.statistics import Counts, Floats, Parts, expected_psi, psis

Q_ALARM = 0.01  # a window is suspicious with a lower q ...
EXCESS_ALARM = 0.02  # ... and more PSI beyond chance than this, about 0.15 sd: less than that hurts no model
POWER = 0.8  # of one window: two of three then have it with 0.8^2 (3 - 2 x 0.8) = 0.9
CHUNKS_SHIFTED = 100  # of those held out: the power is then known to 4 %
_LEAST, _MOST = 1e-4, 64.0  # shifts looked at, in sd
_HALVINGS = 11  # of their ratio's logarithm: to 0.7 %

Shifted = Callable[[float], Parts]  # counts (chunks, bins) of the chunks, shifted by so much


class Detectable(msgspec.Struct, frozen=True):
    """``shift`` is found in 80 % of windows as large as a chunk; ``floor`` is what no window finds, however large.

    In sd of the reference for numbers; for categories the share of rows that go from the most frequent bin to the second.
    """

    shift: float
    floor: float

    def scaled(self, null: Null, n: float, m: float) -> float:
        """The shift for a window of ``n`` against ``m``: PSI grows with the shift's square."""
        return max(self.shift * float(np.sqrt(null.ratio(n, m))), self.floor)


def least_psi(null: Null, bins: int, features: int) -> float:
    """The PSI from which on a chunk is suspicious when no other of ``features`` is: the stricter of the rule's conditions."""
    excess = EXCESS_ALARM + expected_psi(bins, null.chunk_events, null.rest_events)
    return max(null.critical(Q_ALARM / features), excess)


def detectable_number(
    chunks: Floats, edges: Sequence[float], sd: float, reference: Counts, null: Null, features: int
) -> Detectable | None:
    """Of a number: ``chunks`` (chunks, events), each sorted, missing values last; ``reference`` (bins,) counts of all rows.

    All values move by the same, up or down, whichever is harder to see. None for what does not vary, or is not found at any size.
    """
    some, inner = chunks[_spread(len(chunks))], np.array(edges)
    if not sd:
        return None

    def shifted(by: float) -> Parts:
        return chunk_counts(some, inner - by * sd)

    rest: Parts = reference - chunk_counts(some, inner)
    up = _least_found(shifted, rest, null, features, _MOST)
    down = _least_found(lambda by: shifted(-by), rest, null, features, _MOST)
    return max(up, down, key=lambda way: way.shift) if up is not None and down is not None else None


def detectable_category(counts: Counts, reference: Counts, null: Null, features: int) -> Detectable | None:
    """Of a category: ``counts`` (chunks, bins); rows go from the most frequent bin to the second. None where not found."""
    some = counts[_spread(len(counts))].astype(np.float64)
    first, second = np.argsort(-reference, kind="stable")[:2]

    def moved(share: float) -> Parts:
        rows = np.minimum(share * null.chunk_events, some[:, first])
        found = some.copy()
        found[:, first] -= rows
        found[:, second] += rows
        return found

    return _least_found(moved, reference - some, null, features, 1.0)


def _spread(chunks: int) -> Counts:
    found: Counts = np.unique(np.linspace(0, chunks - 1, min(chunks, CHUNKS_SHIFTED)).astype(np.int64))
    return found


def _least_found(shifted: Shifted, rest: Parts, null: Null, features: int, most: float) -> Detectable | None:
    """The least shift that is found with `POWER`, by halving; PSI's root is near enough normal for its quantile."""
    used = (rest > 0).any(axis=0) | (shifted(most) > 0).any(axis=0)
    bins = int(used.sum())
    needed, z = np.sqrt(least_psi(null, bins, features)), float(ndtri(POWER))

    def roots(by: float) -> Floats:
        found: Floats = np.sqrt(psis(shifted(by)[:, used], rest[:, used]))
        return found

    low, high = _LEAST, most
    if not _exceeds(roots(high), z, needed):
        return None
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if _exceeds(roots(middle), z, needed) else (middle, high)
    excess = float((roots(high) ** 2).mean()) - expected_psi(bins, null.chunk_events, null.rest_events) * null.inflation
    return Detectable(high, high * float(np.sqrt(min(EXCESS_ALARM / max(excess, EXCESS_ALARM), 1.0))))


def _exceeds(roots: Floats, z: float, needed: float) -> bool:
    return bool(roots.mean() - z * roots.std(ddof=1) >= needed)
