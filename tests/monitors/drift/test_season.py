"""What was usual at this hour: four earlier weeks, never the current one."""

import numpy as np
import pytest

from benchmarks.accept import drift_streams as streams
from monitors.drift.season import HOUR, HOURS, WEEK, Season, place
from monitors.drift.tally import Tally

PROFILE = streams.numbers(streams.values(2_000, 1))
NOON = 3_000 * WEEK + 12 * HOUR


def rows(count: int) -> Tally:
    return streams.tallied(PROFILE, np.linspace(-1, 1, count)[:, None])


def with_weeks(*ago: int) -> Season:
    """So many weeks ago as many rows, and a hundred times that."""
    season = Season()
    for weeks in sorted(ago, reverse=True):
        season.add(NOON - weeks * WEEK, rows(100 * (weeks + 1)))
    return season


def test_places_are_hours_of_the_week_in_utc() -> None:
    assert place(0.0) == (0, 0)
    assert place(HOURS * HOUR - 1) == (0, 167)
    assert place(HOURS * HOUR) == (1, 0)


def test_the_context_is_of_four_weeks_without_the_current_one() -> None:
    season = with_weeks(0, 1, 2, 3, 4)
    found = season.context(NOON)
    assert found is not None
    assert (found.n, found.weeks) == (200 + 300 + 400 + 500, 4.0)
    assert found.bins[0].sum() == found.n


def test_old_weeks_are_dropped() -> None:
    season = with_weeks(0, 1, 5, 6)
    found = season.context(NOON)
    assert found is not None
    assert (found.n, found.weeks) == (200, 1.0)
    kept = Season()
    kept.decode(place(NOON)[1], season.encode(place(NOON)[1]))
    assert kept.last_week(NOON - 4 * WEEK) is None


def test_weeks_that_come_late_are_kept_where_they_belong() -> None:
    season = with_weeks(0)
    season.add(NOON - WEEK, rows(7))
    season.add(NOON - WEEK, rows(5))
    assert (season.last_week(NOON) or rows(1)).n == 12


def test_other_hours_are_no_context() -> None:
    season = with_weeks(1, 2)
    assert season.context(NOON + HOUR) is None
    assert season.history_weeks(NOON + HOUR) == 0


def test_a_window_longer_than_an_hour_finds_the_hours_of_its_like() -> None:
    season = with_weeks(1, 2)
    season.add(NOON - WEEK - 2 * HOUR, rows(9))
    found = season.context(NOON + HOUR, span_seconds=3 * HOUR)
    assert found is not None
    assert (found.n, found.weeks) == (209 + 300, 2.0)
    assert season.history_weeks(NOON + HOUR, 1e9) == 2.0  # a week at most: nothing is counted twice


def test_last_week_has_volume_and_decisions() -> None:
    found = with_weeks(0, 1).last_week(NOON)
    assert found is not None
    assert found == rows(200)


@pytest.mark.parametrize("hour", [0, 12, 167])
def test_each_hour_goes_to_bytes_by_itself(hour: int) -> None:
    season = with_weeks(0, 1, 2)
    other = Season()
    other.decode(hour, season.encode(hour))
    assert other.encode(hour) == season.encode(hour)
    assert (other.context(NOON) is None) == (hour != place(NOON)[1])


def test_a_tally_that_counts_on_does_not_change_the_season() -> None:
    season, tally = Season(), rows(10)
    season.add(NOON, tally)
    tally.merge(rows(10))
    assert (season.last_week(NOON + WEEK) or tally).n == 10
