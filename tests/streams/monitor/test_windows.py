"""Rows go into windows of one model version, cut exactly; windows of time end where the watermark passes."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.gauge_feed import PLAN, START, Feed
from streams.monitor.counts import Counts
from streams.monitor.rows import Rows, decode_rows
from streams.monitor.windows import Window, Windows, sampled
from streams.vectors import VectorEncoder

EMPTY = partial(Counts.empty, None, {})


def rows(n: int, feed: Feed | None = None, version: int = 1) -> Rows:
    feed = feed or Feed("", rows_a_record=n)
    feed._encoder = VectorEncoder(PLAN, 10**9)  # one record, however large
    (value,) = feed.values(n, version=version)
    return decode_rows(value)


def cut(windows: Windows, size: int, lengths: list[int]) -> list[Window]:
    feed = Feed("", rows_a_record=10**6)
    return [w for n in lengths for w in windows.of_events(1, size, rows(n, feed), 0.0, EMPTY)]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(5, 50))
def test_windows_of_events_are_cut_exactly_however_records_come(lengths: list[int], size: int) -> None:
    windows, total = Windows(sample_above=np.inf), sum(lengths)
    closed = cut(windows, size, lengths)
    assert [w.counts.n for w in closed] == [size] * (total // size)
    assert sum(w.counts.n for w in windows.open) == total % size
    assert [w.id for w in closed] == [f"v1:gauges.readings-0-{i * size}" for i in range(len(closed))]


def test_each_version_has_windows_of_its_own_and_one_that_serves_no_longer_is_closed() -> None:
    windows, feed = Windows(sample_above=np.inf), Feed("", rows_a_record=1000)
    assert not list(windows.of_events(1, 10, rows(4, feed, version=1), 0.0, EMPTY))
    assert [w.version for w in windows.of_events(2, 10, rows(10, feed, version=2), 0.0, EMPTY)] == [2]
    # Version 1 had its last row before that window began; a window of version 2 that begins and ends without it closes it.
    closed = list(windows.of_events(2, 10, rows(10, feed, version=2), 0.0, EMPTY))
    assert [(w.version, w.counts.n) for w in closed] == [(2, 10), (1, 4)]
    assert not windows.open


def test_windows_of_time_end_where_the_watermark_passes_and_late_rows_are_told() -> None:
    windows, feed = Windows(sample_above=np.inf), Feed("", rows_a_record=1000)
    first, second = rows(100, feed), rows(100, feed)  # a row a second
    assert windows.of_time(1, 60.0, second, 0.0, EMPTY) == 0
    assert windows.of_time(1, 60.0, first, 0.0, EMPTY) == 0
    closed = list(windows.passed(START + 130.0))
    assert [(w.id, w.counts.n) for w in closed] == [("v1:2025-01-01T00:00:00Z", 60), ("v1:2025-01-01T00:01:00Z", 60)]
    assert windows.of_time(1, 60.0, first, 0.0, EMPTY) == 100
    assert not list(windows.passed(START + 60.0))  # it never goes back


def test_a_sample_is_by_hash_and_of_the_share_that_was_asked() -> None:
    some = rows(20_000)
    kept = sampled(some, 0.25)
    assert kept.mean() == pytest.approx(0.25, abs=0.015)
    assert np.array_equal(sampled(some.take(slice(500, 900)), 0.25), kept[500:900])
    assert not (kept & ~sampled(some, 0.5)).any()


def test_above_the_declared_rate_a_new_window_is_of_a_sample() -> None:
    windows, feed = Windows(sample_above=100.0), Feed("", rows_a_record=10**6)
    first = [w for at in range(20) for w in windows.of_events(1, 1000, rows(500, feed), float(at), EMPTY)]
    assert [w.share for w in first[:5]] == [1.0] * 5  # nothing is known of the rate yet
    assert windows.rates[1].per_second == pytest.approx(500, rel=0.1)
    assert not list(windows.of_events(1, 1000, rows(900, feed), 20.0, EMPTY))
    (window,) = windows.open
    assert window.share == pytest.approx(0.2, rel=0.1)
    assert windows.sampled_out > 0


def test_a_burst_within_one_batch_of_records_is_no_rate() -> None:
    windows, feed = Windows(sample_above=100.0), Feed("", rows_a_record=10**6)
    closed = [w for at in (0.0, 0.001, 5.0, 5.001) for w in windows.of_events(1, 100, rows(500, feed), at, EMPTY)]
    assert {w.share for w in closed} == {1.0}
