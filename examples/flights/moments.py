"""When each flight of flights.csv was due and when it landed, in UTC.

The file's times are wall clocks at two airports, without dates for arrivals. README.md says what the two ways to derive a
landing say of each other.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from examples.flights import clocks, source
from examples.flights.clocks import Minutes

# The package has no rows for Puerto Rico's airports and St. Thomas; all keep Atlantic time, without daylight saving.
ATLANTIC = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")


class FlightTimes(NamedTuple):
    """Moments of every flight, minutes since the start of 2013 UTC."""

    due: Minutes  # scheduled departure
    due_wall: Minutes  # the same on New York's clocks
    arrival_due: Minutes  # scheduled arrival
    landed: Minutes  # at the gate; meaningless where ``has_landed`` is False
    has_landed: npt.NDArray[np.bool_]


def flight_times(flights: pa.Table) -> FlightTimes:
    """Scheduled and actual moments of each row of flights.csv.

    A scheduled arrival is the first time after departure at which the destination's clock shows it. A flight landed its recorded
    delay after that: the delay counts minutes, so that it needs neither the date nor the offset that arr_time leaves open.
    """
    day = _days(flights)
    due_wall = day * 1440 + minute_of_day(flights["sched_dep_time"])
    due = clocks.to_utc(due_wall, clocks.NEW_YORK)
    arrival_due = np.empty_like(due)
    zones = zones_of(flights["dest"])
    for zone in sorted(set(zones.tolist())):
        rows = zones == zone
        arrival_due[rows] = _next_showing(due[rows], minute_of_day(flights["sched_arr_time"])[rows], zone)
    delay = flights["arr_delay"]
    return FlightTimes(
        due=due,
        due_wall=due_wall,
        arrival_due=arrival_due,
        landed=arrival_due + pc.fill_null(delay, 0).to_numpy(),
        has_landed=delay.is_valid().to_numpy(),
    )


def _next_showing(after: Minutes, minute: Minutes, zone: str) -> Minutes:
    """The first moments after ``after`` at which the zone's clocks show ``minute`` of the day."""
    midnight = clocks.to_wall(after, zone) // 1440 * 1440
    today = clocks.to_utc(midnight + minute, zone)
    return np.where(today > after, today, clocks.to_utc(midnight + 1440 + minute, zone))


def zones_of(airports: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    known = source.read("airports")
    zone = dict(zip(known["faa"].to_pylist(), known["tzone"].to_pylist(), strict=True)) | ATLANTIC
    return np.array([zone[airport] for airport in airports.to_pylist()])


def _days(flights: pa.Table) -> Minutes:
    dates = [flights[part].to_numpy() for part in ("year", "month", "day")]
    months = (dates[0] - 1970) * 12 + dates[1] - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") - np.datetime64("2013-01-01", "D")
    return np.asarray(days.astype(np.int64) + dates[2] - 1)


def minute_of_day(clock: pa.ChunkedArray) -> Minutes:
    shown = clock.to_numpy()  # 1305 is five past one in the afternoon
    return np.asarray(shown // 100 * 60 + shown % 100)
