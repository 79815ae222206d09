"""A worker's metrics: what can be told from the start exists from the start, at 0."""

import pytest

from monitors.metrics import FEATURE_STATES, LOAD_FAILURES, OUTCOMES, STAGES, WorkerMetrics

MERGED, AWAY = "tidegate_feed_last_merge_timestamp_seconds", "tidegate_store_unavailable"


def value(metrics: WorkerMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"pipeline": "fraud"} | labels)


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics("fraud", ["users", "shops"], ["malformed"], shared=["shops"])


def test_every_outcome_exists_at_0_from_the_start(metrics: WorkerMetrics) -> None:
    assert {value(metrics, "tidegate_events_total", outcome=outcome) for outcome in OUTCOMES} == {0}
    assert {value(metrics, "tidegate_features_total", state=state) for state in FEATURE_STATES} == {0}
    assert {value(metrics, "tidegate_model_load_failures_total", reason=reason) for reason in LOAD_FAILURES} == {0}
    assert {value(metrics, "tidegate_stage_duration_seconds_count", stage=stage) for stage in STAGES} == {0}
    assert value(metrics, "tidegate_dead_letters_total", reason="malformed") == 0
    assert value(metrics, AWAY) == 0


def test_a_feed_that_never_merged_was_merged_at_0(metrics: WorkerMetrics) -> None:
    """So that a rule on its age sees it. A group that others keep is never merged here, which is no fault."""
    assert value(metrics, MERGED, group="users") == 0
    assert value(metrics, MERGED, group="shops") is None


def test_the_store_is_away_while_anybody_says_so(metrics: WorkerMetrics) -> None:
    said = []
    for witness, away in [("client", True), ("flow", True), ("client", False), ("flow", True), ("flow", False)]:
        metrics.store_away(witness, away)
        said.append(value(metrics, AWAY))
    assert said == [1, 1, 1, 1, 0]
