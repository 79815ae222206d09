"""Latency, lag and cost out of what became of every event."""

import numpy as np
import pytest

from benchmarks.trace import Cost, Trace

DUE = np.arange(100) / 10  # ten seconds of ten events a second
COSTS = [Cost(0.0, 1.0, 0.0), Cost(5.1, 2.0, 0.5), Cost(9.9, 4.4, 0.98)]


def _trace(seconds: float = 0.02) -> Trace:
    return Trace(DUE, DUE + 0.001, DUE + seconds, COSTS)


def test_latency_counts_from_when_an_event_was_due() -> None:
    trace = _trace()
    trace.handed[50:] += 5.0
    trace.arrived[50:] += 5.0
    assert trace.quantile_ms(0.5, 0.0, 5.0) == pytest.approx(20.0)
    assert trace.quantile_ms(0.5, 5.0, 10.0) == pytest.approx(5_020.0)
    assert trace.sent_late_ms(0.99, 0.0, 5.0) == pytest.approx(1.0)
    assert trace.sent_late_ms(0.5, 5.0, 10.0) == pytest.approx(5_001.0)


def test_an_event_without_a_prediction_is_never_left_out() -> None:
    trace = _trace()
    trace.arrived[[3, 7]] = np.nan
    assert trace.quantile_ms(0.9, 0.0, 1.0) == np.inf
    assert trace.quantile_ms(0.5, 0.0, 1.0) == pytest.approx(20.0)
    assert trace.quantile_ms(0.99, 1.0, 10.0) == pytest.approx(20.0)


def test_what_is_achieved_are_the_predictions_that_came_then() -> None:
    """Whenever their events were due: a backlog that is worked off counts, one that grows does not."""
    behind = _trace(seconds=2.0)
    assert behind.achieved(0.0, 4.0) == pytest.approx(5.0)
    assert behind.achieved(4.0, 8.0) == pytest.approx(10.0)
    assert behind.achieved(8.0, 14.0) == pytest.approx(40 / 6)


def test_lag_is_events_due_without_a_prediction() -> None:
    trace = _trace(seconds=2.05)
    trace.arrived[0] = np.nan
    assert trace.lag(np.array([0.01, 1.01, 5.01, 20.0])).tolist() == [1.0, 11.0, 22.0, 1.0]


def test_cost_is_between_the_nearest_samples_and_by_their_predictions() -> None:
    worker, redis = _trace().cpu_us(5.0, 10.0)
    assert (worker, redis) == (pytest.approx(2.4e6 / 48), pytest.approx(0.48e6 / 48))
