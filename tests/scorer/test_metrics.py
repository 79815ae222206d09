"""Metrics agree with their definitions, and the paired interval covers what it should."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from scorer.errors import ScoringError
from scorer.metrics import (
    _Ranked,
    auc_difference_interval,
    binary_metrics,
    calibration_error,
    evaluate,
    multiclass_metrics,
    regression_metrics,
)

LABELS = np.array([0.0, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9])


def test_binary_metrics_by_hand() -> None:
    found = binary_metrics(LABELS, SCORES, threshold=0.5)
    assert found["auc"] == 15 / 16
    assert (found["precision"], found["recall"], found["false_positive_rate"]) == (0.75, 0.75, 0.25)
    assert found["brier"] == pytest.approx(np.mean((SCORES - LABELS) ** 2))
    assert found["log_loss"] == pytest.approx(-np.mean(np.log(np.where(LABELS == 1, SCORES, 1 - SCORES))))
    assert found["rows"] == 8


def test_what_one_class_makes_meaningless_is_nan() -> None:
    found = binary_metrics(np.zeros(3), np.array([0.1, 0.2, 0.3]))
    assert all(math.isnan(found[name]) for name in ("auc", "pr_auc", "precision", "recall"))
    assert found["false_positive_rate"] == 0


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    assert calibration_error(np.array([0.0, 1, 1, 1]), np.full(4, 0.75)) == 0
    assert calibration_error(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.1, 0.8, 1.0]), bins=10) == pytest.approx((0.2 + 0.2) / 4)


def test_regression_metrics_by_hand() -> None:
    found = regression_metrics(np.array([1.0, 2, 3]), np.array([2.0, 2, 5]))
    assert found == {"mae": 1.0, "rmse": pytest.approx(math.sqrt(5 / 3)), "bias": 1.0, "rows": 3.0}


def test_multiclass_metrics_by_hand() -> None:
    found = multiclass_metrics(np.array([0.0, 2]), np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]))
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ScoringError, match="wait for labels"):
        evaluate(np.empty(0), np.empty(0), "binary")


@given(data=st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40))
def test_the_weighted_auc_is_that_of_the_repeated_rows(data: list[tuple[bool, int, int]]) -> None:
    labels = np.array([float(label) for label, _, _ in data])
    scores = np.array([score / 5 for _, score, _ in data])
    counts = np.array([count for _, _, count in data])
    repeated = np.repeat(labels, counts)
    found = _Ranked(labels, scores).auc(counts)
    if len(set(repeated)) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(repeated, np.repeat(scores, counts)))


def test_the_interval_tells_a_better_model_and_not_an_equal_one() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=4_000)
    labels = (truth + random.normal(size=4_000) > 0).astype(np.float64)
    good, alike, noise = (truth + random.normal(size=4_000) * spread for spread in (0.5, 0.5, 3.0))
    low, high = auc_difference_interval(labels, good, noise, seed=1, resamples=200)
    assert 0 < low < roc_auc_score(labels, good) - roc_auc_score(labels, noise) < high
    low, high = auc_difference_interval(labels, good, alike, seed=1, resamples=200)
    assert low < 0 < high


def test_the_interval_is_paired_and_follows_its_seed() -> None:
    random = np.random.default_rng(0)
    labels, scores = (random.random(500) < 0.3).astype(np.float64), random.random(500)
    assert auc_difference_interval(labels, scores, scores * 0.5, seed=1, resamples=50) == (0, 0)
    other = random.random(500)
    assert auc_difference_interval(labels, scores, other, 1, 50) == auc_difference_interval(labels, scores, other, 1, 50)
    with pytest.raises(ScoringError, match="both classes"):
        auc_difference_interval(np.ones(5), scores[:5], other[:5], seed=1)
