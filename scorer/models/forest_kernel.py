"""The compiled walk over a forest's arrays; how they come about is scorer.models.forest's matter.

A row's values become codes first: a number the count of the thresholds below it, a category what a table says for each set that
a split asks for. Every split is then one comparison of two small whole numbers, and exact: x <= threshold[k] if and only if
code <= k. Eight rows go down a tree at once, so that the processor need not wait for one row's next node before it looks at
another's. Positions are unsigned throughout: Numba checks signed ones for counting from the end, which took a third of the time.
"""

import math
from typing import NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.uint16]

LANES = 8  # rows that walk together; 4 and 16 were slower
BLOCK = 64  # rows whose codes are made at once; a multiple of LANES, and small enough for the first cache
ZERO = float(np.float32(1e-35))  # LightGBM takes numbers of at most this size for 0
LAST_CODE = 65_535  # above every split's code: a missing number that goes right; and as a leaf's own, which nothing exceeds
_u = nb.uint64


class Arrays(NamedTuple):
    """A forest: ``nodes`` and ``values`` have an entry a node, ``roots`` a tree, ``features`` to ``nans`` a numeric feature.

    A node, from its lowest bits: 16 of the column of codes, 16 of the code up to which rows go left, 32 of the left child's
    position from the root; the right child is the next. A leaf leads to itself and has its output in ``values``.

    ``thresholds`` of a feature begin at ``starts``, ascending, filled up with infinity to 2 x ``halves`` - 1. A feature has two
    ``columns`` (k, 2), for splits where missing values go left and right, with ``nans`` (k, 2), the codes of missing values;
    twice the same where all splits send them one way.

    ``categories`` (c, 5): feature, number of categories, first column, number of columns, and begin in ``table``, which has that
    many codes for each category, and for an unknown or missing one behind them.
    """

    nodes: Positions
    values: npt.NDArray[np.float64]
    roots: Positions
    features: Positions
    starts: Positions
    halves: Positions
    columns: Positions
    nans: Codes
    thresholds: npt.NDArray[np.float64]
    categories: Positions
    table: npt.NDArray[np.uint8]


@nb.njit(cache=True, nogil=True)
def _encode_numbers(rows, forest, codes):  # type: ignore[no-untyped-def]
    """By binary search, a feature for all rows, in step."""
    n, one = _u(len(rows)), _u(1)
    values, found = np.empty(BLOCK, np.float64), np.empty(BLOCK, np.uint64)
    for k in range(_u(len(forest.features))):
        for i in range(n):
            value = rows[i, forest.features[k]]
            values[i] = 0.0 if abs(value) <= ZERO else value
            found[i] = forest.starts[k]
        half = forest.halves[k]
        while half:
            for i in range(n):
                found[i] += half if forest.thresholds[found[i] + half - one] < values[i] else _u(0)
            half >>= one
        left, right = forest.columns[k, 0], forest.columns[k, 1]
        for i in range(n):
            missing, code = values[i] != values[i], found[i] - forest.starts[k]
            codes[i, left] = forest.nans[k, 0] if missing else code
            codes[i, right] = forest.nans[k, 1] if missing else code


@nb.njit(cache=True, nogil=True)
def _encode_categories(rows, forest, codes):  # type: ignore[no-untyped-def]
    for c in range(_u(len(forest.categories))):
        known, first, width = forest.categories[c, 1], forest.categories[c, 2], forest.categories[c, 3]
        for i in range(_u(len(rows))):
            value = rows[i, forest.categories[c, 0]]
            # LightGBM cuts to a whole number, so that -0.5 is category 0. NaN is none.
            category = _u(nb.int64(value)) if value > -1.0 and value < known else known
            begin = forest.categories[c, 4] + category * width
            for s in range(width):
                codes[i, first + s] = forest.table[begin + s]


@nb.njit(cache=True, nogil=True, inline="always")
def _next(nodes, root, at, codes, i):  # type: ignore[no-untyped-def]
    """The child of a node that row i goes to, counted from the root."""
    node = nodes[root + at]
    return (node >> _u(32)) + _u(codes[i, node & _u(0xFFFF)] > ((node >> _u(16)) & _u(0xFFFF)))


@nb.njit(cache=True, nogil=True)
def _walk(codes, forest, out):  # type: ignore[no-untyped-def]
    """Adds every tree's leaf to out float64 (n,), in the trees' order: the order of LightGBM's own sums.

    The lanes behind the last row walk, too, by codes of whatever row stood there.
    """
    n, lanes = _u(len(out)), _u(LANES)
    nodes, values, at = forest.nodes, forest.values, np.empty(LANES, np.uint64)
    for t in range(_u(len(forest.roots))):
        root = forest.roots[t]
        for begin in range(_u(0), n, lanes):
            for i in range(lanes):
                at[i] = _u(0)
            moved = _u(1)
            while moved:  # two steps between looks
                for i in range(lanes):
                    at[i] = _next(nodes, root, at[i], codes, begin + i)
                moved = _u(0)
                for i in range(lanes):
                    after = _next(nodes, root, at[i], codes, begin + i)
                    moved |= after ^ at[i]
                    at[i] = after
            for i in range(min(lanes, n - begin)):
                out[begin + i] += values[root + at[i]]


@nb.njit(cache=True, nogil=True)
def score(matrix, forest, width, sigmoid, out):  # type: ignore[no-untyped-def]
    """Adds to out float64 (n,), zeros, the scores of rows float64 (n, features); ``width`` columns of codes a row."""
    codes = np.zeros((BLOCK, width), np.uint16)
    for begin in range(0, len(matrix), BLOCK):
        rows = matrix[begin : begin + BLOCK]
        _encode_numbers(rows, forest, codes)
        _encode_categories(rows, forest, codes)
        _walk(codes, forest, out[begin : begin + BLOCK])
    if sigmoid:
        for i in range(len(out)):
            out[i] = 1.0 / (1.0 + math.exp(-out[i]))  # the C library's exp(), as LightGBM's; NumPy's own differs in last bits
