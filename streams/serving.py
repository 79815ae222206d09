"""The model that serves: loaded and verified before it scores, and what its scores say."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestore.events import Floats
from scorer.artifact import LoadedVersion
from scorer.pipeline import Task


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a model says of n events, as Python values ready for records; see streams.records.Prediction."""

    scores: list[float]
    decisions: list[Any]
    confidences: list[float | None]
    probabilities: list[list[float] | None]


@dataclass(frozen=True, slots=True)
class ServingModel:
    """One version in one role."""

    version: int
    loaded: LoadedVersion
    variant: str = "champion"

    @property
    def name(self) -> str:
        return self.loaded.manifest.facts.model_name

    @property
    def threshold(self) -> float | None:
        return self.loaded.manifest.facts.threshold if self.task == "binary" else None

    @property
    def task(self) -> Task:
        return self.loaded.manifest.task


def decide(task: Task, scores: Floats, threshold: float | None) -> Verdicts:
    """Scores to verdicts.

    Binary: the decision is score >= threshold (0.5 where None), the confidence max(p, 1 - p). Multiclass: the likeliest class.
    Regression: none.
    """
    n = len(scores)
    if task == "multiclass":
        best = scores.argmax(axis=1)
        top = scores[np.arange(n), best].tolist()
        return Verdicts(top, best.tolist(), list(top), scores.tolist())
    if task == "regression":
        return Verdicts(scores.tolist(), [None] * n, [None] * n, [None] * n)
    return Verdicts(
        scores.tolist(),
        (scores >= (0.5 if threshold is None else threshold)).tolist(),
        np.maximum(scores, 1 - scores).tolist(),
        [None] * n,
    )
