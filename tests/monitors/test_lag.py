"""Verdicts on lag: the truth table, and what holds for any sequence of looks."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors import lag
from monitors.lag import (
    CODES,
    RING,
    WINDOW_SECONDS,
    History,
    Observation,
    Status,
    age_seconds,
    history_of,
    observe,
    pace,
    patience,
    retention_used,
    verdict,
)
from tests.monitors.lag_table import ROWS, Row

# Committed and end in any order, as Kafka never tells them: nothing may break on it.
LOOKS = st.lists(
    st.tuples(st.floats(0, 1000, allow_nan=False), st.none() | st.integers(0, 2**62), st.integers(0, 2**62)),
    min_size=1,
    max_size=40,
)
HEALTHY = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=RING)


def observed(looks: list[tuple[float, int | None, int]]) -> list[Observation]:
    at, found = 0.0, []
    for seconds, committed, waiting in looks:
        at += seconds
        found.append(Observation(at, committed, 0 if committed is None else waiting))
    return found


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_the_truth_table(row: Row) -> None:
    assert verdict(history_of(row.observations()), owned=row.owned) is row.status, row.reason


def test_every_status_has_a_row_and_a_code() -> None:
    assert {row.status for row in ROWS} == set(Status)
    assert [CODES[status] for status in Status] == [-1, 0, 1, 2, 3, 4]
    assert Status.STOPPED.code == 4


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(lag) == (0, 2)


@given(LOOKS, st.booleans())
def test_nothing_is_ever_nan_and_the_ring_is_bounded(looks: list[tuple[float, int | None, int]], owned: bool) -> None:
    history: History = ()
    for seen in observed(looks):
        history = observe(history, seen)
        assert len(history) <= RING
        assert verdict(history, owned=owned) in Status
        speed = pace(history)
        for value in (speed.records_per_second, speed.drain_seconds, speed.head_of_line_seconds, patience(history)):
            assert value is None or math.isfinite(value)
        assert speed.head_of_line_seconds >= 0
        assert speed.drain_seconds is None or speed.drain_seconds >= 0


@given(LOOKS, st.integers(0, 2**62), st.booleans())
def test_caught_up_now_is_ok(looks: list[tuple[float, int | None, int]], committed: int, owned: bool) -> None:
    seen = observed(looks)
    now = Observation(seen[-1].at + 6, committed, 0)
    assert verdict(history_of([*seen, now]), owned=owned) is Status.OK


@given(HEALTHY, st.booleans())
def test_any_zero_lag_in_the_window_is_ok(steps: list[tuple[int, int]], owned: bool) -> None:
    """Ten looks 6 s apart are within the window; commits only go forward."""
    committed, looks = 0, []
    for n, (progress, waiting) in enumerate(steps):
        committed += progress
        looks.append(Observation(6.0 * n, committed, waiting))
    if any(look.lag == 0 for look in looks):
        assert verdict(history_of(looks), owned=owned) is Status.OK


@given(LOOKS, st.booleans())
def test_a_group_without_a_commit_is_unknown(looks: list[tuple[float, int | None, int]], owned: bool) -> None:
    seen = observed(looks)
    assert verdict(history_of([*seen, Observation(seen[-1].at, None, 0)]), owned=owned) is Status.UNKNOWN


def test_pace_is_measured_over_the_window() -> None:
    """100 records committed and 40 come every 6 s: 16.7 a second, and a backlog of 400 shrinks by 10 a second."""
    looks = [Observation(6.0 * n, 100 * n, 1000 - 60 * n) for n in range(11)]
    speed = pace(history_of(looks))
    assert speed.records_per_second == pytest.approx(100 / 6)
    assert speed.drain_seconds == pytest.approx(400 / 10)
    assert speed.head_of_line_seconds == 0


def test_pace_forgets_an_hour_without_records() -> None:
    looks = [Observation(6.0 * n, 100, 0) for n in range(600)]
    looks += [Observation(3600 + 6.0 * n, 100 + 600 * n, 6000 - 600 * n) for n in range(1, 6)]
    assert pace(history_of(looks)).records_per_second == pytest.approx(3000 / WINDOW_SECONDS)


def test_who_stands_drains_never_and_its_head_grows_old() -> None:
    speed = pace(history_of([Observation(6.0 * n, 5, 10 + n) for n in range(30)]))
    assert (speed.records_per_second, speed.drain_seconds, speed.head_of_line_seconds) == (0.0, None, 174.0)


def test_a_rewind_is_no_negative_pace() -> None:
    looks = [Observation(6.0, 900, 100), Observation(12.0, 100, 900), Observation(18.0, 200, 800)]
    assert pace(history_of(looks)).records_per_second == pytest.approx(100 / 6)


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_age_is_never_negative(now: float, timestamp: float) -> None:
    assert age_seconds(now, timestamp) == max(0.0, now - timestamp)


@pytest.mark.parametrize(
    ("seconds", "lost", "retention", "used"),
    [
        (60.0, 0, 600.0, 0.1),
        (60.0, 0, math.inf, 0.0),  # never deleted
        (60.0, 0, None, None),  # by size only: unknown
        (None, 0, 600.0, None),
        (60.0, 5, 600.0, 1.0),  # some are deleted already
        (900.0, 5, 600.0, 1.5),
        (None, 5, None, 1.0),
        (0.0, 0, 0.0, 0.0),
    ],
)
def test_retention_used(seconds: float | None, lost: int, retention: float | None, used: float | None) -> None:
    assert retention_used(seconds, lost, retention) == used
