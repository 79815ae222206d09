"""Wall clocks at airports and UTC, for whole arrays of one year's times.

Offsets are tabled by hour, once a zone: Python's zoneinfo knows them (and brings its own data where the system has none, as
Arrow does not), and in 2013 every American clock changed on a whole hour.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Minutes = npt.NDArray[np.int64]  # since the start of 2013, in UTC or on a wall clock

START = datetime(2013, 1, 1, tzinfo=UTC)
START_SECONDS = int(START.timestamp())
NEW_YORK = "America/New_York"
_HOURS = range(-48, 366 * 24 + 48)  # room for zones and for flights that land in the next year


def to_utc(wall: Minutes, zone: str) -> Minutes:
    """Wall clock to UTC. Of an hour shown twice the first is meant; one that is skipped counts on from before the gap."""
    return wall - _wall_offsets(zone)[wall // 60 - _HOURS.start]


def to_wall(utc: Minutes, zone: str) -> Minutes:
    """UTC to wall clock."""
    return utc + _utc_offsets(zone)[utc // 60 - _HOURS.start]


def seconds(utc: Minutes) -> npt.NDArray[np.float64]:
    """Minutes since the start of 2013 UTC as seconds since the epoch."""
    return (utc * 60 + START_SECONDS).astype(np.float64)


@cache
def _wall_offsets(zone: str) -> Minutes:
    wall = START.replace(tzinfo=ZoneInfo(zone))
    return np.array([_minutes((wall + timedelta(hours=hour)).utcoffset()) for hour in _HOURS])


@cache
def _utc_offsets(zone: str) -> Minutes:
    there = ZoneInfo(zone)
    return np.array([_minutes((START + timedelta(hours=hour)).astimezone(there).utcoffset()) for hour in _HOURS])


def _minutes(offset: timedelta | None) -> int:
    assert offset is not None
    return int(offset.total_seconds()) // 60
