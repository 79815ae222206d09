"""Rows are counted once whatever crashes, windows are judged once, and partitions make no difference."""

from dataclasses import replace
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.gauge_feed import Feed
from scorer.monitoring import Monitoring
from streams.errors import MonitorStateError
from streams.monitor.counts import Counts
from streams.monitor.records import FeatureDrift, WindowSummary
from streams.monitor.rows import decode_rows
from streams.monitor.state import STATE
from streams.records import DeadLetter, encode
from tests.streams.monitor.watched import NAMES, Watched

HOURLY = Monitoring(window="10m", minimum_events=100, lateness="1m")


def summaries(watched: Watched) -> list[WindowSummary]:
    return [record for record in watched.records() if isinstance(record, WindowSummary)]


def feature(watched: Watched, name: str) -> list[FeatureDrift]:
    return [record for record in watched.records() if isinstance(record, FeatureDrift) and record.feature == name]


def filled(rows: int, **how: object) -> Watched:
    watched = Watched(**how)  # type: ignore[arg-type]
    feed = Feed("", rows_a_record=130)
    for number, value in enumerate(feed.values(rows)):
        watched.log(value, number % watched.partitions)
    return watched


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_crashes_anywhere_lose_nothing_and_judge_every_window_once(data: st.DataObject) -> None:
    whole = filled(2_400)
    whole.drain()
    whole.publish()
    crashed = filled(2_400)
    (tp, _) = crashed.logs
    while crashed.positions[tp] < len(crashed.logs[tp]):
        crashed.take(tp, data.draw(st.integers(1, 6)))
        for step in data.draw(st.lists(st.sampled_from(["checkpoint", "publish", "crash"]), max_size=3)):
            getattr(crashed, step)()
    crashed.publish()
    crashed.crash()
    assert [(e.id, e.value) for e in crashed.published] == [(e.id, e.value) for e in whole.published]
    assert len(summaries(crashed)) == 4
    (window,) = crashed.watching.state.windows
    assert window.counts.decided == 400


@pytest.mark.parametrize("seed", range(5))
def test_four_partitions_say_what_one_says(seed: int) -> None:
    dice = Random(seed)
    one, four = filled(4_000, monitoring=HOURLY), filled(4_000, monitoring=HOURLY, partitions=4)
    one.drain()
    one.publish()
    while any(four.positions[tp] < len(log) for tp, log in four.logs.items()):
        four.take(dice.choice(sorted(four.logs)), dice.randint(1, 9))
    four.publish()
    assert len(summaries(one)) == 6
    assert [(e.id, e.value) for e in four.published] == [(e.id, e.value) for e in one.published]


def test_rows_that_a_crashed_worker_published_again_are_dropped_and_told() -> None:
    watched = Watched()
    values = list(Feed("", rows_a_record=100).values(1_000))
    for value in [*values[:4], values[3], *values[4:7], values[5], values[6], *values[7:]]:
        watched.log(value)
    watched.drain()
    watched.publish()
    assert [(s.n, s.repeats) for s in summaries(watched)] == [(500, 100), (500, 200)]
    assert (
        watched.metrics.registry.get_sample_value("tidegate_monitor_rows_total", {"pipeline": "gauges", "outcome": "repeated"})
        == 300
    )


def test_a_shift_is_told_once_two_windows_of_three_have_it() -> None:
    watched = Watched()
    feed = Feed("", rows_a_record=100, seed=3)
    for value in [*feed.values(1_000), *feed.values(1_500, shift=0.8, feature=4)]:
        watched.log(value)
    watched.drain()
    watched.publish()
    told = feature(watched, "gauge_04")
    assert [record.state for record in told] == ["ok", "ok", "warn", "drift", "drift"]
    assert [record.severity for record in told][-1] == "ticket"  # no history yet that could explain it
    assert [s.state for s in summaries(watched)] == ["ok", "ok", "warn", "drift", "drift"]
    assert summaries(watched)[-1].drifting == ["gauge_04"]
    labels = {"pipeline": "gauges", "feature": "gauge_04"}
    assert watched.metrics.registry.get_sample_value("tidegate_feature_drift_state", labels) == 2


def test_a_version_without_a_reference_is_unknown_and_says_why() -> None:
    watched = Watched(versions=())
    for value in Feed("", rows_a_record=100).values(1_000):
        watched.log(value)
    watched.drain()
    watched.publish()
    told = [(summary.state, summary.why, summary.n) for summary in summaries(watched)]
    assert told == [("unknown", "no reference in this test", 500)] * 2


def test_a_new_version_begins_its_own_window_and_the_old_ones_is_closed() -> None:
    watched = Watched(versions=(1, 2))
    feed = Feed("", rows_a_record=100)
    for value in [*feed.values(300), *feed.values(1_000, version=2)]:
        watched.log(value)
    watched.drain()
    watched.publish()
    assert [(s.model_version, s.n) for s in summaries(watched)] == [(2, 500), (2, 500), (1, 300)]


def letter(reason: str, detail: str) -> bytes:
    known = dict.fromkeys(("field", "payload")) | dict.fromkeys(("offset", "partition"), 0)
    return encode(
        msgspec.convert(
            known
            | {"dead_letter_id": "x", "pipeline": "gauges", "topic": "t", "ingest_time": 0.0, "rejected_time": 0.0}
            | {"reason": reason, "detail": detail},
            DeadLetter,
        )
    )


def test_rejects_count_in_the_window_that_is_closed_next() -> None:
    watched = Watched()
    for value in Feed("", rows_a_record=100).values(500):
        watched.log(value)
    for _ in range(100):
        watched.log(letter("malformed", "JSON is malformed"), topic=NAMES.dead_letters)
    (features, letters) = watched.logs
    watched.take(letters, 100)
    watched.take(features, 5)
    watched.publish()
    (summary,) = summaries(watched)
    (check,) = [check for check in summary.checks if check.check == "type"]
    assert (check.passed, check.value) == (False, pytest.approx(100 / 600))


def test_what_is_no_served_vectors_is_left_out_and_counted() -> None:
    watched = Watched()
    watched.log(b"nonsense")
    for value in Feed("", rows_a_record=100).values(500):
        watched.log(value)
    watched.drain()
    watched.publish()
    assert [s.n for s in summaries(watched)] == [500]


@pytest.mark.parametrize("window", ["1h", "6h"])
def test_the_volume_is_held_against_last_weeks_windows_of_the_same_length(window: str) -> None:
    watched = Watched(monitoring=Monitoring(window=window, lateness="1s", minimum_events=20))
    feed = Feed("", rows_a_record=1_000, seconds_a_row=120.0)
    for value in feed.values(2 * 5_040 + 720):  # two weeks and a day
        watched.log(value)
    watched.drain(50)
    watched.publish()
    judged = [c.passed for s in summaries(watched)[-3:] for c in s.checks if c.check == "volume"]
    assert judged == [True] * 3


@pytest.mark.parametrize("window", [500, "10m"])
def test_event_times_that_no_calendar_has_are_left_out(window: int | str) -> None:
    watched = Watched(monitoring=Monitoring(window=window, minimum_events=100, lateness="1s"))
    feed = Feed("", rows_a_record=100)
    for strange in (float("nan"), float("inf"), -1e300, 1e300):
        watched.log(next(iter(replace(feed, start=strange).values(100))))
    feed.sent = 400
    for value in feed.values(1_300):
        watched.log(value)
    watched.drain()
    watched.publish()
    assert [s.n for s in summaries(watched)][:2] == ([500, 500] if window == 500 else [200, 600])
    labels = {"pipeline": "gauges", "outcome": "unreadable"}
    assert watched.metrics.registry.get_sample_value("tidegate_monitor_rows_total", labels) == 400


def test_a_state_of_another_version_is_refused_with_the_remedy() -> None:
    with pytest.raises(MonitorStateError, match=r"redis-cli .* del 'tidegate:checkpoint:{monitor:gauges}'"):
        Watched(fields={STATE: b"nonsense"})


def test_rows_of_other_feature_groups_keep_the_ages_of_those_that_are_known() -> None:
    (value,) = Feed("", rows_a_record=3).values(3)
    rows = replace(decode_rows(value), groups=("old", "kept"), ages=np.array([[1.0, 2.0]] * 3))
    np.testing.assert_array_equal(rows.ages_of(("kept", "new")), [[2.0, np.nan]] * 3)
    counts = Counts.empty(None, {"kept": 300.0, "new": 300.0})
    counts.add(rows)
    assert counts.quality.youngest.tolist() == [2.0, np.inf]
