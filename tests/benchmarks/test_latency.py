"""Ladders of loads: medians and ratios of rounds, which loads count, and how a burst is judged."""

import math

import numpy as np
import pytest

from benchmarks.contenders import WORKER
from benchmarks.load import schedule
from benchmarks.parts import burst, latency
from benchmarks.parts.latency import BAR_LOAD, PROMPT, Rung, Step
from benchmarks.trace import Cost, Trace


def _step(load: int, p99: float, achieved: float | None = None, cpu: float = 50.0, late: float = 1.0) -> Step:
    return Step(load, p99 / 2, p99, load if achieved is None else achieved, cpu, 20.0, late)


LADDERS = {
    WORKER.name: [
        Rung(1_000, [_step(1_000, 10.0)]),
        Rung(BAR_LOAD, [_step(BAR_LOAD, 30.0), _step(BAR_LOAD, 20.0, cpu=70.0), _step(BAR_LOAD, 40.0, cpu=61.0)]),
        Rung(10_000, [_step(10_000, math.inf, 9_000.0)]),
    ],
    PROMPT.name: [
        Rung(1_000, [_step(1_000, 10.0)]),
        Rung(BAR_LOAD, [_step(BAR_LOAD, 10.0), _step(BAR_LOAD, 20.0), _step(BAR_LOAD, 20.0)]),
        Rung(10_000, [_step(10_000, 50.0, late=21.0)]),
    ],
}


def test_a_figure_is_the_median_of_its_rounds_and_has_its_bar() -> None:
    found = {row.name: row for row in latency.rows(LADDERS)}
    assert found["latency/tidegate/5000/p99"].value == 30.0
    cpu = found["latency/tidegate/5000/worker_cpu_us"]
    assert (cpu.value, cpu.bar, cpu.holds) == (61.0, 60.0, False)
    assert found["latency/tidegate/1000/worker_cpu_us"].bar is None


def test_the_bar_is_on_the_ratio_round_by_round() -> None:
    """30/10, 20/20, 40/20."""
    row = latency.rows(LADDERS)[-1]
    assert (row.name, row.value, row.unit) == ("latency/p99 at 5000 against by hand, overlapped", 2.0, "x")
    assert (row.bar, row.holds) == (1.5, False)


def test_a_load_that_was_not_kept_up_with_has_no_latency() -> None:
    names = {row.name for row in latency.rows(LADDERS)}
    assert "latency/tidegate/10000/achieved" in names
    assert not names & {f"latency/{name}/10000/{figure}" for name in LADDERS for figure in ("p50", "p99")}
    assert [point.load for point in latency.points(LADDERS[WORKER.name])] == [1_000, BAR_LOAD]
    assert all(math.isfinite(row.value) for row in latency.rows(LADDERS))


def test_events_without_predictions_are_not_kept_up_with() -> None:
    """Even where those that a warm-up left behind make up for them in number."""
    assert _step(1_000, math.inf).fault == "it made 1,000 predictions/s"
    assert _step(1_000, 50.0, 971.0).fault is None


def test_the_text_says_why_a_ladder_ended() -> None:
    text = latency.text(LADDERS, 3, "A machine.")
    assert "`tidegate worker` ended at 10,000: it made 9,000 predictions/s." in text
    assert "hand-written loop, overlapped ended at 10,000: the generator was 21 ms behind its schedule." in text
    assert "| 10,000 | `tidegate worker` |  |  | 9,000 | 50.0 | 20.0 |" in text
    assert "2.00 (1.00 to 3.00) x" in text


def test_a_step_is_what_happened_after_the_warm_up() -> None:
    due = schedule([latency.Phase(100, 20.0)])
    slow_at_first = np.where(due < 5.0, 1.0, 0.01)
    trace = Trace(due, due, due + slow_at_first, [Cost(5.0, 0.0, 0.0), Cost(20.0, 0.15, 0.03)])
    step = Step.of(100, trace, 5.0, 20.0)
    assert (step.p50, step.p99, step.sent_late) == (pytest.approx(10.0), pytest.approx(10.0), 0.0)
    assert step.worker_cpu_us == pytest.approx(100.0, rel=0.1)
    assert step.fault is None


def _burst(seconds_after: float) -> Trace:
    """10 ms, in the burst 200 ms, and for so long after it 100 ms."""
    due = schedule(burst.PHASES)
    inside, after = (due >= burst.BEGIN) & (due < burst.END), (due >= burst.END) & (due < burst.END + seconds_after)
    return Trace(due, due, due + 0.01 + 0.19 * inside + 0.09 * after, [])


def test_a_burst_is_judged_by_what_was_due_in_it() -> None:
    found = burst.burst(_burst(2.5))
    assert (found.p99_before, found.p50_burst, found.p99_burst) == tuple(pytest.approx(ms) for ms in (10.0, 200.0, 200.0))
    assert found.greatest_lag == pytest.approx(2_000, rel=0.01)
    assert found.recovery == 2.5


def test_no_recovery_is_needed_where_the_next_second_is_as_before() -> None:
    assert burst.burst(_burst(0.0)).recovery == 0.0


def test_a_burst_that_is_not_over_in_time_or_lost_an_event_has_no_figures() -> None:
    with pytest.raises(RuntimeError, match="for 30 s after the burst"):
        burst.burst(_burst(30.0))
    trace = _burst(0.0)
    trace.arrived[20_000] = np.nan
    with pytest.raises(RuntimeError, match="1 events had no prediction"):
        burst.burst(trace)


def test_the_course_has_a_point_each_half_second() -> None:
    course = burst.course(_burst(0.0))
    assert len(course.at) == 150
    assert course.p99[[0, 31, -1]] == pytest.approx([10.0, 200.0, 10.0])
