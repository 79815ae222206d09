"""LightGBM models of every kind that scorer.models.forest knows, or refuses, each trained in a moment."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from scorer.models import Matrix

QUIET: dict[str, Any] = {"verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 1}
SHOPS, MERCHANTS = 2, 3  # category columns, of 5 and of 300 categories


@dataclass(frozen=True)
class Recipe:
    """Parameters beside an objective of 0 and 1; ``rows`` (n, 8) as `drawn` gives them unless ``columns`` picks some."""

    params: dict[str, Any] = field(default_factory=dict)
    columns: tuple[int, ...] = tuple(range(8))
    trees: int = 20
    rows: int = 4_000
    offset: float | None = None  # an init score

    @property
    def categories(self) -> list[int]:
        return [place for place, column in enumerate(self.columns) if column in (SHOPS, MERCHANTS)]


def drawn(n: int, seed: int) -> Matrix:
    """Numbers with and without missing values, few and many categories, mostly zeros, and a constant; (n, 8)."""
    dice = np.random.default_rng(seed)
    rows = dice.normal(size=(n, 8))
    rows[:, SHOPS], rows[:, MERCHANTS] = dice.integers(0, 5, n), dice.integers(0, 300, n)
    rows[:, 4] = np.where(dice.random(n) < 0.7, 0.0, rows[:, 4])
    rows[:, 5] = np.round(np.exp(rows[:, 5] * 3.0), 2)
    rows[:, 6] = 7.0
    for column, share in ((1, 0.1), (MERCHANTS, 0.05), (7, 0.4)):
        rows[dice.random(n) < share, column] = np.nan
    return rows


def labels(rows: Matrix, seed: int) -> npt.NDArray[np.float64]:
    """A value that depends on all but the constant."""
    known = np.nan_to_num(rows)
    value = known[:, 0] * known[:, 1] + np.isin(known[:, SHOPS], [1, 4]) + (known[:, MERCHANTS] % 7 < 3) + known[:, 4]
    return value + np.log1p(known[:, 5]) / 2 + np.isnan(rows[:, 7]) + np.random.default_rng(seed).normal(size=len(rows)) / 2


@cache
def _booster(name: str) -> lightgbm.Booster:
    recipe = {**KNOWN, **REFUSED}[name]
    rows = drawn(recipe.rows, 1)
    value = labels(rows, 2)
    objective = recipe.params.get("objective", "binary")
    target = {
        "binary": value > 2.0,
        "multiclass": np.digitize(value, [1.0, 3.0]),
        "cross_entropy": 1.0 / (1.0 + np.exp(-value)),
        "poisson": np.abs(np.round(value)),
    }.get(objective, value)
    dataset = lightgbm.Dataset(
        rows[:, recipe.columns],
        np.asarray(target, dtype=np.float64),
        categorical_feature=recipe.categories,
        init_score=None if recipe.offset is None else np.full(len(rows), recipe.offset),
    )
    return lightgbm.train({"objective": "binary", **QUIET, **recipe.params}, dataset, recipe.trees)


def booster(name: str) -> lightgbm.Booster:
    """Trained once a session, read-only to the tests that share it."""
    return _booster(name)


FEW = {"min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1.0}
NUMBERS = (0, 1, 4, 5, 6, 7)
KNOWN = {
    "everything": Recipe({"num_leaves": 63, **FEW}, rows=10_000),
    "numbers alone": Recipe({"num_leaves": 31}, columns=NUMBERS),
    "never missing": Recipe({"num_leaves": 31}, columns=(0, 4, 5, SHOPS)),
    "missing as zero": Recipe({"num_leaves": 31, "use_missing": False}, columns=NUMBERS),
    "one against all categories": Recipe({"max_cat_to_onehot": 400, **FEW}, columns=(SHOPS, MERCHANTS)),
    "many against many categories": Recipe({"max_cat_threshold": 200, "max_cat_to_onehot": 2, **FEW}, columns=(MERCHANTS, 0)),
    "as deep as it gets": Recipe({"num_leaves": 200, "max_depth": -1, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0}),
    "stumps": Recipe({"num_leaves": 2}),
    "single leaves": Recipe({"min_data_in_leaf": 4_000}, columns=NUMBERS),
    "a constant alone": Recipe(columns=(6,)),
    "many thresholds": Recipe({"max_bin": 5_000, "min_data_in_bin": 1, "min_data_in_leaf": 1, "num_leaves": 100}),
    "regression": Recipe({"objective": "regression", "num_leaves": 31, **FEW}),
    "regression from zero": Recipe({"objective": "regression", "boost_from_average": False}),
    "regression from an init score": Recipe({"objective": "regression"}, offset=3.0),
    "binary from zero": Recipe({"boost_from_average": False}),
    "absolute error": Recipe({"objective": "regression_l1"}),
    "huber": Recipe({"objective": "huber"}),
    "cross entropy": Recipe({"objective": "cross_entropy"}),
    "dropped and shrunk trees": Recipe({"boosting": "dart", "drop_rate": 0.5, "learning_rate": 0.3}),
    "one iteration": Recipe(trees=1),
}
REFUSED = {
    "zero as missing": Recipe({"zero_as_missing": True}),
    "linear leaves": Recipe({"linear_tree": True, "objective": "regression"}, columns=NUMBERS),
    "random forest": Recipe({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}),
    "multiclass": Recipe({"objective": "multiclass", "num_class": 3}, trees=5),
    "poisson": Recipe({"objective": "poisson"}),
    "another sigmoid": Recipe({"sigmoid": 2.0}),
    "square root": Recipe({"objective": "regression", "reg_sqrt": True}),
}
