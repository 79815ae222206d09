"""Small generated data sets with something to learn: two numbers, a category, and missing values."""

import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestore.schema import FeatureColumn, FeatureKind, FeatureSchema
from scorer.models import Labels, Matrix
from scorer.pipeline import Task
from scorer.split import Times

SCHEMA = FeatureSchema(
    (
        FeatureColumn("amount", FeatureKind.NUMBER),
        FeatureColumn("shop", FeatureKind.CATEGORY),
        FeatureColumn("mean(amount, 1h)", FeatureKind.NUMBER),
        FeatureColumn("count", FeatureKind.NUMBER),
    )
)
SHOPS = ("north", "south", "east", "west")
HOUR = 3600.0
SMALL: dict[str, Any] = {"num_leaves": 7, "min_data_in_leaf": 10, "num_threads": 1}


def code(text: str) -> float:
    """A category's code in the served vector."""
    return float(binascii.crc32(text.encode()))


@dataclass(frozen=True)
class Rows:
    """``matrix`` (n, 4) with NaN in its third column only, ``labels`` (n,), ``times`` (n,) one a minute."""

    matrix: Matrix
    labels: Labels
    times: Times


def rows(count: int = 3_000, seed: int = 1, task: Task = "binary") -> Rows:
    random = np.random.default_rng(seed)
    shop = random.integers(0, len(SHOPS), count)
    amount, mean, counted = random.normal(size=count), random.normal(size=count), random.integers(0, 9, count)
    value = amount + 1.5 * (shop % 2) - 0.7 * mean + random.normal(size=count) / 2
    labels = {"binary": value > 0.7, "regression": value, "multiclass": np.digitize(value, [0.0, 1.5])}[task]
    mean[random.random(count) < 0.1] = np.nan
    codes = np.array([code(text) for text in SHOPS])[shop]
    matrix = np.column_stack([amount, codes, mean, counted]).astype(np.float64)
    return Rows(matrix, np.asarray(labels, dtype=np.float64), np.arange(count, dtype=np.float64) * 60.0)
