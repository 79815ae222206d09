"""The reference profile of a model in training: of its rows, and of what it says of the validation rows."""

from collections.abc import Callable, Collection, Mapping

import numpy as np

from featurestore.schema import FeatureKind, FeatureSchema
from monitors.drift.profile import DECISION, Profile
from monitors.drift.reference import Windows, build_profile
from scorer.models import Matrix, Scores
from scorer.models.encoding import texts_by_code
from scorer.monitoring import Monitoring
from scorer.pipeline import Task
from scorer.split import Times

_DECISIONS = {0.0: "false", 1.0: "true"}


def reference_profile(
    matrix: Matrix,
    times: Times,
    schema: FeatureSchema,
    predicted: Matrix,
    task: Task,
    monitoring: Monitoring,
    metrics: Mapping[str, float],
    texts: Mapping[str, Collection[str]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Profile:
    """The profile of all labelled rows (n, features) in order of ``times``, and of the validation rows' ``predicted`` (v, 3)."""
    known = {
        name: {float(code): " | ".join(found) for code, found in texts_by_code(held).items()}
        for name, held in (texts or {}).items()
    }
    if task == "binary":
        known[DECISION] = _DECISIONS
    return build_profile(
        matrix,
        times,
        schema.names,
        ["category" if column.kind is FeatureKind.CATEGORY else "number" for column in schema.columns],
        predicted,
        texts=known,
        windows=Windows(monitoring.window_events, monitoring.window_seconds),
        metrics=metrics,
        progress=progress,
    )


def predictions(task: Task, scores: Scores, threshold: float) -> Matrix:
    """Score, decision and confidence (n, 3) as in prediction records (streams.serving.decide); NaN for what a task has not."""
    if task == "multiclass":
        top = scores.max(axis=1)
        return np.column_stack([top, scores.argmax(axis=1), top]).astype(np.float64)
    nothing = np.full(len(scores), np.nan)
    if task == "regression":
        return np.column_stack([scores, nothing, nothing])
    return np.column_stack([scores, scores >= threshold, np.maximum(scores, 1 - scores)]).astype(np.float64)
