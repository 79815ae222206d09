"""Distances between two histograms on the same bins, and what many tests at once make of their p-values.

Whether a distance is more than chance is left to null.py, what to make of it to judge.py.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Parts = npt.NDArray[np.float64 | np.int64]  # counts, or means of counts

PRIOR = 0.5  # rows added to every bin, after Jeffreys: no bin is empty, so no logarithm is infinite


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """A window's and the reference's counts in the bins that either has rows in; both of shape (bins,), numbers >= 0."""

    window: Parts
    reference: Parts

    @property
    def bins(self) -> int:
        return len(self.window)

    @property
    def n(self) -> float:
        return float(self.window.sum())

    @property
    def m(self) -> float:
        return float(self.reference.sum())


def occupied(window: Counts, reference: Counts) -> npt.NDArray[np.bool_]:
    """Which bins are compared: those empty on both sides are not.

    They say nothing, and with `PRIOR` in them would add to the PSI: an empty bin adds 0.5 ln(m/n) / n, which at n = 1,000 and
    m = 165,000 is 0.0026, a quarter of what ten bins have by chance.
    """
    found: npt.NDArray[np.bool_] = (window > 0) | (reference > 0)
    return found


def shares(counts: Parts) -> Floats:
    """Counts (..., bins) as shares of their sum, `PRIOR` rows added to every bin."""
    raised = counts + PRIOR
    found: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return found


def psi(pair: Histograms) -> float:
    """Population stability index, sum (q - p) ln(q / p): Jeffreys' divergence of the two histograms.

    >>> round(psi(Histograms(np.array([30, 70]), np.array([500, 500]))), 3)
    0.167
    """
    return float(psis(pair.window, pair.reference))


def psis(window: Parts, reference: Parts) -> Floats:
    """PSI along the last axis of counts (..., bins)."""
    q, p = shares(window), shares(reference)
    found: Floats = ((q - p) * np.log(q / p)).sum(axis=-1)
    return found


def expected_psi(bins: int, n: float, m: float) -> float:
    """Mean PSI of two independent samples of one distribution: (B - 1)(1/n + 1/m) (Yurdakul and Naranjo 2020)."""
    return (bins - 1) * (1 / n + 1 / m)


def js_distance(pair: Histograms) -> float:
    """Square root of the Jensen-Shannon divergence in bits: 0 alike, 1 nothing in common (Endres and Schindelin 2003)."""
    q, p = shares(pair.window), shares(pair.reference)
    middle = (q + p) / 2
    divergence = float((q * np.log2(q / middle)).sum() + (p * np.log2(p / middle)).sum()) / 2
    return float(np.sqrt(max(divergence, 0.0)))


def wasserstein(pair: Histograms, middles: Floats) -> float:
    """How far the rows must move on average, each bin's rows standing at its middle; ``middles`` (bins,) ascend."""
    apart = np.cumsum(shares(pair.window) - shares(pair.reference))[:-1]
    return float((np.abs(apart) * np.diff(middles)).sum())


def q_values(ps: list[float | None]) -> list[float | None]:
    """p-values as least false discovery rates (Benjamini and Hochberg 1995); None, which is no test, stays."""
    tested = np.array([p for p in ps if p is not None])
    order = np.argsort(tested, kind="stable")
    raw = tested[order] * len(tested) / np.arange(1, len(tested) + 1)
    adjusted = np.empty(len(tested))
    adjusted[order] = np.minimum.accumulate(raw[::-1])[::-1].clip(max=1.0)
    remaining = iter(adjusted.tolist())
    return [None if p is None else float(next(remaining)) for p in ps]
