"""Wall clocks and UTC: agrees with zoneinfo at every minute of the year, in every zone the flights reach."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.flights import clocks

ZONES = [
    "America/Anchorage",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/New_York",
    "America/Phoenix",
    "America/Puerto_Rico",
    "Pacific/Honolulu",
]
minutes = st.integers(min_value=0, max_value=366 * 1440)


@given(minutes, st.sampled_from(ZONES))
def test_wall_clocks_are_zoneinfos(utc: int, zone: str) -> None:
    """UTC to wall clock is what Python's own datetime says."""
    expected = (clocks.START + timedelta(minutes=utc)).astimezone(ZoneInfo(zone))
    shown = clocks.START + timedelta(minutes=int(clocks.to_wall(np.array([utc]), zone)[0]))
    assert shown.replace(tzinfo=None) == expected.replace(tzinfo=None)


@given(minutes, st.sampled_from(ZONES))
def test_wall_clocks_lead_back(utc: int, zone: str) -> None:
    """There and back is the same minute, but for the hour shown twice, of which the first is taken."""
    back = int(clocks.to_utc(clocks.to_wall(np.array([utc]), zone), zone)[0])
    assert back == utc or (back == utc - 60 and zone not in ("America/Phoenix", "America/Puerto_Rico", "Pacific/Honolulu"))


@pytest.mark.parametrize(
    ("wall", "offset_hours"),
    [
        ("2013-03-10T01:59", -5),
        ("2013-03-10T03:00", -4),
        ("2013-11-03T00:59", -4),
        ("2013-11-03T01:30", -4),
        ("2013-11-03T02:00", -5),
    ],
)
def test_new_yorks_clock_changes(wall: str, offset_hours: int) -> None:
    """The days the clock changes: the night of 10 March loses an hour, that of 3 November has one twice."""
    minute = (np.datetime64(wall, "m") - np.datetime64("2013-01-01T00:00", "m")).astype(np.int64)
    assert clocks.to_utc(np.array([minute]), clocks.NEW_YORK)[0] == minute - offset_hours * 60
