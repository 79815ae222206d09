"""Reads the trees out of LightGBM's text models. What is not read is refused, so that LightGBM scores such a model itself."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scorer.errors import UnsupportedForestError

_CATEGORICAL, _DEFAULT_LEFT = 1, 2  # bits of LightGBM's decision_type; above them the kind of missing values
_MISSING_SHIFT, _MISSING_NONE, _MISSING_ZERO = 2, 0, 1
_SIGMOID = {"binary sigmoid:1", "cross_entropy"}
_IDENTITY = {"regression", "regression_l1", "huber", "fair"}


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A tree of n splits and n + 1 leaves.

    ``features`` int64, ``thresholds`` float64, ``nan_left`` bool, ``left`` and ``right`` int64, all (n,); a child from 0 is a
    split, a negative one the leaf at -1 - child. ``values`` float64 (n + 1,). ``sets`` maps a split on a category to the words
    whose bits are the categories that go left; its threshold means nothing.
    """

    features: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float64]
    nan_left: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    sets: dict[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TextModel:
    """``features`` columns; scores are the trees' sum, or 1 / (1 + exp(-sum)) with ``sigmoid``."""

    features: int
    sigmoid: bool
    trees: list[Tree]


def read_trees(text: str) -> TextModel:
    """UnsupportedForestError, which says why, where the model is not a plain binary classifier or regression."""
    head, *trees = re.split(r"^Tree=\d+\n", text.partition("\nend of trees")[0], flags=re.MULTILINE)
    if not trees:
        raise UnsupportedForestError("it has no trees")
    try:
        facts = _facts(head)
        return TextModel(int(facts["max_feature_idx"]) + 1, _is_sigmoid(facts), [_tree(_facts(tree)) for tree in trees])
    except (KeyError, ValueError, IndexError) as error:
        raise UnsupportedForestError(f"the text has another form than that of LightGBM 4 ({error!r})") from error


def _facts(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}


def _is_sigmoid(facts: Mapping[str, str]) -> bool:
    objective = facts.get("objective", "none")
    if "average_output" in facts:
        raise UnsupportedForestError("it averages its trees")
    if facts["num_tree_per_iteration"] != "1" or objective not in _SIGMOID | _IDENTITY:
        raise UnsupportedForestError(f"its objective is {objective}")
    return objective in _SIGMOID


def _tree(facts: Mapping[str, str]) -> Tree:
    if facts.get("is_linear", "0") != "0":
        raise UnsupportedForestError("it has linear leaves")
    splits = int(facts["num_leaves"]) - 1
    thresholds, decisions = _floats(facts, "threshold", splits), _whole(facts, "decision_type", splits)
    categorical, missing = (decisions & _CATEGORICAL) != 0, decisions >> _MISSING_SHIFT
    if ((missing == _MISSING_ZERO) & ~categorical).any():
        raise UnsupportedForestError("it takes zero for missing")
    # Where training saw no missing value, LightGBM takes NaN for zero.
    nan_left = np.where(missing == _MISSING_NONE, thresholds >= 0.0, (decisions & _DEFAULT_LEFT) != 0)
    return Tree(
        features=_whole(facts, "split_feature", splits),
        thresholds=thresholds,
        nan_left=nan_left,
        left=_whole(facts, "left_child", splits),
        right=_whole(facts, "right_child", splits),
        values=_floats(facts, "leaf_value", splits + 1),
        sets=_sets(facts, thresholds, np.flatnonzero(categorical)) if categorical.any() else {},
    )


def _sets(
    facts: Mapping[str, str], thresholds: npt.NDArray[np.float64], splits: npt.NDArray[np.intp]
) -> dict[int, tuple[int, ...]]:
    """A categorical split's threshold is the number of its set; all sets' words stand in one row."""
    bounds, words = (list(map(int, facts[name].split())) for name in ("cat_boundaries", "cat_threshold"))
    numbers = {split: int(thresholds[split]) for split in splits.tolist()}
    return {split: tuple(words[bounds[number] : bounds[number + 1]]) for split, number in numbers.items()}


def _floats(facts: Mapping[str, str], name: str, count: int) -> npt.NDArray[np.float64]:
    return _counted(map(float, facts.get(name, "").split() if count else ()), np.float64, name, count)


def _whole(facts: Mapping[str, str], name: str, count: int) -> npt.NDArray[np.int64]:
    return _counted(map(int, facts.get(name, "").split() if count else ()), np.int64, name, count)


def _counted(values: Iterable[float], dtype: type, name: str, count: int) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = np.array(list(values), dtype=dtype)
    if len(found) != count:
        raise UnsupportedForestError(f"it has {len(found)} values of {name} in a tree, not {count}")
    return found
