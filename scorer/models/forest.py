"""LightGBM's trees as arrays for the compiled walk of scorer.models.forest_kernel: the same bits in less than half of the time.

A model that this does not know stays with LightGBM, and so does one that is not proven (scorer.models.forest_proof).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scorer.errors import UnsupportedForestError
from scorer.models import forest_kernel as kernel
from scorer.models.port import Matrix, Scores
from scorer.models.tree_text import TextModel, Tree, read_trees

Ints = npt.NDArray[np.int64]

WIDTH_MAX = 4_096  # columns of codes: a block of them is 512 KiB
TABLE_MAX = 8 * 2**20  # bytes


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """``features`` columns of the model's matrix become ``width`` columns of codes, by which rows walk down the trees."""

    features: int
    width: int
    sigmoid: bool
    arrays: kernel.Arrays

    @classmethod
    def read(cls, text: str) -> "Forest":
        """From LightGBM's text model; UnsupportedForestError, which says why, where it must score the model itself."""
        model = read_trees(text)
        splits = _Splits(model)
        numbers = _numbers(splits)
        categories, table, width = _categories(splits, numbers.width)
        if width > WIDTH_MAX:
            raise UnsupportedForestError(f"its splits ask for {width} different things, more than {WIDTH_MAX}")
        nodes, values, roots = _nodes(model.trees, splits)
        arrays = kernel.Arrays(
            nodes=nodes,
            values=values,
            roots=roots,
            features=numbers.features,
            starts=numbers.starts,
            halves=numbers.halves,
            columns=numbers.columns,
            nans=numbers.nans,
            thresholds=numbers.thresholds,
            categories=categories,
            table=table,
        )
        return cls(model.features, max(width, 1), model.sigmoid, arrays)

    def score(self, matrix: Matrix) -> Scores:
        """Scores float64 (n,) of rows float64 (n, features), as LightGBM's predict gives them."""
        out = np.zeros(len(matrix))
        rows = matrix if matrix.flags.carray else matrix.copy()  # one compiled function: for C order, writable
        kernel.score(rows, self.arrays, self.width, self.sigmoid, out)
        return out


class _Splits:
    """All trees' splits in one row: what they ask (features to sets), and for the walk their ``columns`` and ``codes``."""

    def __init__(self, model: TextModel) -> None:
        self.features: Ints = _joined([tree.features for tree in model.trees], np.int64)
        self.thresholds: npt.NDArray[np.float64] = _joined([tree.thresholds for tree in model.trees], np.float64)
        self.nan_left: npt.NDArray[np.bool_] = _joined([tree.nan_left for tree in model.trees], np.bool_)
        first = np.cumsum([0, *(len(tree.features) for tree in model.trees)]).tolist()
        pairs = zip(first, model.trees, strict=False)
        self.sets = {begin + split: words for begin, tree in pairs for split, words in tree.sets.items()}
        self.columns, self.codes = np.zeros_like(self.features), np.zeros_like(self.features)
        if ((self.features < 0) | (self.features >= model.features)).any():
            raise UnsupportedForestError("it has splits on features that it has not")


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """How numbers become codes, as in kernel.Arrays, and how many columns of them there are."""

    features: kernel.Positions
    starts: kernel.Positions
    halves: kernel.Positions
    columns: kernel.Positions
    nans: kernel.Codes
    thresholds: npt.NDArray[np.float64]
    width: int


def _numbers(splits: _Splits) -> _Numbers:
    """A column for each feature and way of missing values; sets the columns and codes of the splits on numbers."""
    mine = np.setdiff1d(np.arange(len(splits.features)), np.fromiter(splits.sets, dtype=np.int64))
    ways, columns = np.unique(splits.features[mine] * 2 + splits.nan_left[mine], return_inverse=True)
    splits.columns[mine] = columns
    features = np.unique(splits.features[mine])
    tables, starts, halves, begin = [np.empty(0)], [], [], 0
    for feature in features:
        asked = mine[splits.features[mine] == feature]
        distinct, splits.codes[asked] = np.unique(splits.thresholds[asked], return_inverse=True)
        if len(distinct) >= kernel.LAST_CODE:
            raise UnsupportedForestError(f"it has {len(distinct)} thresholds of one feature")
        half = 1 << (len(distinct).bit_length() - 1)
        tables.append(np.concatenate([distinct, np.full(2 * half - 1 - len(distinct), np.inf)]))
        starts.append(begin)
        halves.append(half)
        begin += len(tables[-1])
    pairs = np.stack([_either(ways, features * 2 + 1, features * 2), _either(ways, features * 2, features * 2 + 1)], axis=1)
    return _Numbers(
        features=features.astype(np.uint64),
        starts=np.array(starts, dtype=np.uint64),
        halves=np.array(halves, dtype=np.uint64),
        columns=pairs.astype(np.uint64),
        nans=np.where(ways[pairs] % 2 == 1, 0, kernel.LAST_CODE).astype(np.uint16),
        thresholds=np.concatenate(tables),
        width=len(ways),
    )


def _either(ways: Ints, wanted: Ints, other: Ints) -> Ints:
    """Where each wanted way stands among the ascending ways, or the other one where it is not there."""
    return np.where(np.isin(wanted, ways), np.searchsorted(ways, wanted), np.searchsorted(ways, other))


def _categories(splits: _Splits, first: int) -> tuple[kernel.Positions, npt.NDArray[np.uint8], int]:
    """Categories and table of kernel.Arrays, and the width in all; sets the columns of the splits on categories."""
    by_feature: dict[int, dict[tuple[int, ...], int]] = {}
    for split, words in splits.sets.items():
        known = by_feature.setdefault(int(splits.features[split]), {})
        splits.columns[split] = known.setdefault(words, len(known))
    rows, tables, begin = [], [np.empty(0, dtype=np.uint8)], 0
    for feature, known in by_feature.items():
        mine = [split for split in splits.sets if splits.features[split] == feature]
        splits.columns[mine] += first
        count = 32 * max(map(len, known))
        if begin + (count + 1) * len(known) > TABLE_MAX:
            raise UnsupportedForestError("it has too many categories in too many splits")
        rows.append((feature, count, first, len(known), begin))
        tables.append(_table(list(known), count))
        first, begin = first + len(known), begin + tables[-1].size
    return np.array(rows, dtype=np.uint64).reshape(-1, 5), np.concatenate(tables), first


def _table(sets: Sequence[tuple[int, ...]], count: int) -> npt.NDArray[np.uint8]:
    """For each of count categories, and an unknown one, a code for each set: 0 in it, which goes left, else 1."""
    codes = np.ones((count + 1, len(sets)), dtype=np.uint8)
    for column, words in enumerate(sets):
        bits = np.unpackbits(np.array(words, dtype="<u4").view(np.uint8), bitorder="little")
        codes[: len(bits), column] -= bits
    return codes.reshape(-1)


def _nodes(trees: Sequence[Tree], splits: _Splits) -> tuple[kernel.Positions, npt.NDArray[np.float64], kernel.Positions]:
    """Nodes, values and roots of kernel.Arrays. The children of a tree's split k stand at 2k + 1 and 2k + 2 from its root."""
    sizes = np.array([2 * len(tree.features) + 1 for tree in trees], dtype=np.int64)
    roots = np.cumsum(sizes) - sizes
    nodes, values = np.zeros(int(sizes.sum()), dtype=np.int64), np.zeros(int(sizes.sum()))
    first = 0
    for root, tree in zip(roots.tolist(), trees, strict=True):
        n = len(tree.features)
        lefts = 2 * np.arange(n) + 1
        places = _places(tree, lefts)
        mine = slice(first, first + n)
        nodes[root + places[:n]] = splits.columns[mine] | splits.codes[mine] << 16 | lefts << 32
        nodes[root + places[n:]] = kernel.LAST_CODE << 16 | places[n:] << 32
        values[root + places[n:]] = tree.values
        first += n
    return nodes.astype(np.uint64), values, roots.astype(np.uint64)


def _places(tree: Tree, lefts: Ints) -> Ints:
    """Where splits, and behind them leaves, stand; refused where a node has not just one parent, as rows might never arrive."""
    n = len(lefts)
    left, right = (np.where(child >= 0, child, n - 1 - child) for child in (tree.left, tree.right))
    if not np.array_equal(np.sort(np.concatenate([left, right])), np.arange(1, 2 * n + 1)):
        raise UnsupportedForestError("a tree's nodes have not one parent each")
    places = np.zeros(2 * n + 1, dtype=np.int64)
    places[left], places[right] = lefts, lefts + 1
    return places


def _joined(arrays: Sequence[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=dtype), *arrays])
