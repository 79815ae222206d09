"""Proves on made-up rows that a forest scores as LightGBM does, before a worker relies on it.

The rows lie where a mistake would show: exactly on thresholds and one step of the last bit beside them, at zeros and what
LightGBM takes for zero, at infinities, missing values, and categories known, unknown, negative, huge and broken. Half of them are
led down to a leaf, so that rare leaves are met, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.errors import UnsupportedForestError
from scorer.models import forest_kernel as kernel
from scorer.models.forest import Forest, Ints
from scorer.models.port import Matrix, Scores

PROOF_ROWS = 2_048  # 10 ms of LightGBM's time with 100 trees
_ODD = (
    np.nan,
    np.nan,
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    1e-36,
    -1e-36,
    kernel.ZERO,
    float(np.nextafter(kernel.ZERO, 1)),
    1e300,
    -1e300,
)
_ODD_CATEGORIES = (np.nan, -1.0, -0.5, -0.0, 1e-36, 2.0**31 - 1, 2.0**31, 2.0**32, 1e300, -1e300, np.inf, -np.inf)
_ODD_SHARE = 0.1


def proven(text: str, predict: Callable[[Matrix], Scores]) -> Forest:
    """The forest of a text model. UnsupportedForestError unless it scores as `predict` (LightGBM itself), bit by bit."""
    forest = Forest.read(text)
    dice = np.random.default_rng(0)
    n = PROOF_ROWS // 2
    leaves = dice.choice(leaf_positions(forest), n)
    rows = np.concatenate([telling_rows(forest, dice, n), rows_to(forest, dice, leaves)])
    differing = np.count_nonzero(forest.score(rows).view(np.uint64) != predict(rows).view(np.uint64))
    if differing:
        raise UnsupportedForestError(f"our walk over its trees gives other scores for {differing} of {len(rows)} rows")
    return forest


def leaf_positions(forest: Forest) -> Ints:
    """Where the leaves of all trees stand among the nodes."""
    return np.flatnonzero(_Unpacked.of(forest).is_leaf)


def telling_rows(forest: Forest, dice: np.random.Generator, n: int) -> Matrix:
    """Rows float64 (n, features) on, beside and far from the trees' thresholds, and with odd values."""
    arrays = forest.arrays
    rows = dice.normal(size=(n, forest.features)) * 10.0 ** dice.integers(-3, 6, size=(n, forest.features))
    odd = np.broadcast_to(np.array(_ODD), (forest.features, len(_ODD))).copy()
    for k, feature in enumerate(arrays.features.tolist()):
        start, half = int(arrays.starts[k]), int(arrays.halves[k])
        met, toward = dice.choice(arrays.thresholds[start : start + 2 * half - 1], n), dice.choice([-np.inf, np.inf], n)
        with np.errstate(over="ignore"):
            rows[:, feature] = np.where(dice.random(n) < 0.5, met, np.nextafter(met, toward))
    for feature, count, *_ in arrays.categories.tolist():
        rows[:, feature] = dice.integers(0, count + 2, n)
        odd[feature] = _ODD_CATEGORIES
    chosen = odd[np.arange(forest.features), dice.integers(0, odd.shape[1], rows.shape)]
    return np.where(dice.random(rows.shape) < _ODD_SHARE, chosen, rows)


def rows_to(forest: Forest, dice: np.random.Generator, leaves: Ints) -> Matrix:
    """For each leaf a telling row that arrives at it, unless categories on its way stop it.

    In each feature that the way bounds it is at the bound itself: on the least threshold passed on the left, or just above the
    greatest passed on the right; missing where that is infinity.
    """
    nodes = _Unpacked.of(forest)
    rows = telling_rows(forest, dice, len(leaves))
    above, most = np.full(rows.shape, -np.inf), np.full(rows.shape, np.inf)
    at = leaves
    while (nodes.parents[at] >= 0).any():
        after, at = at, np.where(nodes.parents[at] >= 0, nodes.parents[at], at)
        moved = np.flatnonzero((after != at) & (nodes.features[at] >= 0))
        features, thresholds = nodes.features[at[moved]], nodes.thresholds[at[moved]]
        is_left = nodes.lefts[at[moved]] == after[moved]
        most[moved, features] = np.minimum(most[moved, features], np.where(is_left, thresholds, np.inf))
        above[moved, features] = np.maximum(above[moved, features], np.where(is_left, -np.inf, thresholds))
    low = np.isfinite(above) & (np.isinf(most) | (dice.random(rows.shape) < 0.5))
    with np.errstate(over="ignore"):
        bound = np.where(low, np.nextafter(above, np.inf), np.where(np.isfinite(most), most, rows))
    return np.where(above == np.inf, np.nan, bound)


@dataclass(frozen=True, slots=True, eq=False)
class _Unpacked:
    """What the nodes say, an entry a node: ``lefts`` and ``parents`` as positions, -1 without a parent; ``features`` and
    ``thresholds`` of splits on numbers, -1 and NaN of others."""

    is_leaf: npt.NDArray[np.bool_]
    lefts: Ints
    parents: Ints
    features: Ints
    thresholds: npt.NDArray[np.float64]

    @classmethod
    def of(cls, forest: Forest) -> "_Unpacked":
        arrays = forest.arrays
        nodes = arrays.nodes.astype(np.int64)
        columns, codes = nodes & 0xFFFF, nodes >> 16 & 0xFFFF
        is_leaf = codes == kernel.LAST_CODE
        roots = arrays.roots.astype(np.int64)
        lefts = np.repeat(roots, np.diff(roots, append=len(nodes))) + (nodes >> 32)
        parents = np.full(len(nodes), -1)
        for side in (0, 1):
            parents[lefts[~is_leaf] + side] = np.flatnonzero(~is_leaf)
        of_column, starts = np.full(forest.width, -1), np.zeros(forest.width, dtype=np.int64)
        for side in (0, 1):
            of_column[arrays.columns[:, side]] = arrays.features
            starts[arrays.columns[:, side]] = arrays.starts
        number = ~is_leaf & (of_column[columns] >= 0)
        thresholds = np.full(len(nodes), np.nan)
        thresholds[number] = arrays.thresholds[(starts[columns] + codes)[number]]
        return cls(is_leaf, lefts, parents, np.where(number, of_column[columns], -1), thresholds)
