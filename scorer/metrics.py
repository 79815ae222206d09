"""How good scores are against labels. What to do about it is left to preflight, the guard and the monitors."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from scorer.errors import ScoringError
from scorer.models.port import Labels, Scores
from scorer.pipeline import Task

_CALIBRATION_BINS = 15  # as in Guo et al. 2017
_Ints = npt.NDArray[np.int64]


def evaluate(labels: Labels, scores: Scores, task: Task, threshold: float = 0.5) -> dict[str, float]:
    """The task's metrics by name; labels of shape (n,), scores as the model gives them. ScoringError for no rows at all."""
    if not len(labels):
        raise ScoringError("no labelled rows to evaluate; wait for labels to mature")
    if task == "binary":
        return binary_metrics(labels, scores, threshold)
    if task == "regression":
        return regression_metrics(labels, scores)
    return multiclass_metrics(labels, scores)


def binary_metrics(labels: Labels, scores: Scores, threshold: float = 0.5) -> dict[str, float]:
    """Ranking, probability and decision metrics of labels 0 and 1; NaN where one class makes a metric meaningless.

    >>> binary_metrics(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.6, 0.7, 0.9]))["false_positive_rate"]
    0.5
    """
    both = 0 < labels.sum() < len(labels)
    nan = float("nan")
    positive, decided = labels == 1, scores >= threshold
    return {
        "auc": float(sk.roc_auc_score(labels, scores)) if both else nan,
        "pr_auc": float(sk.average_precision_score(labels, scores)) if both else nan,
        "log_loss": float(sk.log_loss(labels, scores, labels=[0, 1])),
        "brier": float(np.mean((scores - labels) ** 2)),
        "calibration_error": calibration_error(labels, scores),
        "precision": float(positive[decided].mean()) if decided.any() else nan,
        "recall": float(decided[positive].mean()) if positive.any() else nan,
        "false_positive_rate": float(decided[~positive].mean()) if (~positive).any() else nan,
        "threshold": float(threshold),
        "positive_share": float(positive.mean()),
        "rows": float(len(labels)),
    }


def calibration_error(labels: Labels, scores: Scores, bins: int = _CALIBRATION_BINS) -> float:
    """Expected calibration error: mean over equal-width bins of |mean score - share of positives|, weighted by the bin's rows.

    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017.
    """
    places = np.clip((scores * bins).astype(np.int64), 0, bins - 1)
    gaps = np.bincount(places, weights=scores - labels, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def regression_metrics(labels: Labels, scores: Scores) -> dict[str, float]:
    """MAE, RMSE and bias (mean of score - label), in the label's unit."""
    return {
        "mae": float(sk.mean_absolute_error(labels, scores)),
        "rmse": float(sk.root_mean_squared_error(labels, scores)),
        "bias": float(np.mean(scores - labels)),
        "rows": float(len(labels)),
    }


def multiclass_metrics(labels: Labels, scores: Scores) -> dict[str, float]:
    """Log loss and accuracy; scores of shape (n, classes), labels the classes' numbers."""
    return {
        "log_loss": float(sk.log_loss(labels, scores, labels=list(range(scores.shape[1])))),
        "accuracy": float(np.mean(np.argmax(scores, axis=1) == labels)),
        "rows": float(len(labels)),
    }


def auc_difference_interval(
    labels: Labels, score_a: Scores, score_b: Scores, seed: int, resamples: int = 500, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of AUC(a) - AUC(b) on the same rows, by a paired bootstrap: both see the same resampled rows.

    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3. Rows are resampled as counts over an order that
    is sorted once, so that a resample costs sums and no sort. ScoringError where labels have one class.
    """
    if not 0 < labels.sum() < len(labels):
        raise ScoringError("an AUC needs labels of both classes; evaluate a longer time")
    ranked = [_Ranked(labels, scores) for scores in (score_a, score_b)]
    differences = np.array([ranked[0].auc(counts) - ranked[1].auc(counts) for counts in _resamples(len(labels), resamples, seed)])
    tail = (1 - confidence) / 2 * 100
    low, high = np.nanpercentile(differences, [tail, 100 - tail])  # NaN: a resample that drew one class only
    return float(low), float(high)


def _resamples(rows: int, resamples: int, seed: int) -> Iterator[_Ints]:
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(random.integers(0, rows, rows, dtype=np.int32), minlength=rows)


class _Ranked:
    """Rows sorted by score, ready to give the AUC of any multiset of them.

    The AUC is the share of (positive, negative) pairs in the right order, a tie counting half (Mann-Whitney).
    """

    def __init__(self, labels: Labels, scores: Scores) -> None:
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        self._tied = first if len(first) < len(scores) else None
        positive = labels[order] == 1
        self._order, self._positive = order, positive

    def auc(self, counts: _Ints) -> float:
        drawn = counts[self._order]
        positives = np.where(self._positive, drawn, 0)
        negatives = drawn - positives
        if self._tied is not None:
            positives, negatives = np.add.reduceat(positives, self._tied), np.add.reduceat(negatives, self._tied)
        below = np.cumsum(negatives)
        pairs = int(below[-1]) * int(positives.sum())
        # Twice the ordered pairs: those below, and those below or tied; whole numbers, hence exact.
        return float(positives @ (2 * below - negatives)) / 2 / pairs if pairs else float("nan")
