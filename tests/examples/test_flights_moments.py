"""When flights were due and when they landed: known flights, midnights, clock changes, airports without a row."""

import numpy as np
import pyarrow as pa
import pytest

from examples.flights import clocks, source
from examples.flights.moments import FlightTimes, flight_times, minute_of_day, zones_of


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    return source.read("flights")


@pytest.fixture(scope="module")
def times(flights: pa.Table) -> FlightTimes:
    return flight_times(flights)


def _flight(flights: pa.Table, month: int, day: int, carrier: str, number: int) -> int:
    wanted = {"month": month, "day": day, "flight": number}
    rows = np.logical_and.reduce([flights[name].to_numpy() == value for name, value in wanted.items()])
    rows &= np.array(flights["carrier"].to_pylist()) == carrier
    return int(np.flatnonzero(rows)[0])


def _utc(minutes: np.int64) -> str:
    return str(np.datetime64("2013-01-01T00:00", "m") + np.timedelta64(int(minutes), "m"))


@pytest.mark.parametrize(
    ("month", "day", "carrier", "number", "due", "arrival_due", "landed"),
    [
        # Newark to Houston, an hour behind: due 5:15, in at 8:19 scheduled and 8:30 real.
        (1, 1, "UA", 1545, "2013-01-01T10:15", "2013-01-01T14:19", "2013-01-01T14:30"),
        # Aguadilla has no airport row: due 5:45 in New York, 10:22 there is an hour ahead in winter.
        (1, 1, "B6", 725, "2013-01-01T10:45", "2013-01-01T14:22", "2013-01-01T14:04"),
        # Over midnight, and over the end of summer time: 23:59 in New York's summer, 3:40 in San Juan, which has none.
        (11, 2, "B6", 1503, "2013-11-03T03:59", "2013-11-03T07:40", "2013-11-03T07:50"),
        # Over midnight westwards: due out 21:40, in at 0:40 in Los Angeles.
        (11, 2, "AA", 185, "2013-11-03T01:40", "2013-11-03T07:40", "2013-11-03T07:43"),
        # Landed at 2:03 standard time, when Florida's clocks had just gone to 3:03: the file shows 203, a time that never was.
        (3, 9, "B6", 35, "2013-03-10T02:45", "2013-03-10T05:34", "2013-03-10T07:03"),
    ],
)
def test_known_flights(
    flights: pa.Table,
    times: FlightTimes,
    month: int,
    day: int,
    carrier: str,
    number: int,
    due: str,
    arrival_due: str,
    landed: str,
) -> None:
    """Moments of single flights, worked out by hand."""
    row = _flight(flights, month, day, carrier, number)
    assert (_utc(times.due[row]), _utc(times.arrival_due[row]), _utc(times.landed[row])) == (due, arrival_due, landed)


def test_due_is_the_packages_own_hour(flights: pa.Table, times: FlightTimes) -> None:
    """Scheduled departures agree with the package's UTC column in every row."""
    stamped = flights["time_hour"].cast(pa.timestamp("s", "UTC")).cast(pa.int64()).to_numpy()
    assert np.array_equal(clocks.seconds(times.due // 60 * 60), stamped)


def test_departure_times_are_schedule_plus_delay(flights: pa.Table, times: FlightTimes) -> None:
    """The actual departure on the clock is the scheduled one plus the delay, in every row that left."""
    left = flights["dep_delay"].is_valid().to_numpy()
    delay = np.nan_to_num(flights["dep_delay"].to_numpy(zero_copy_only=False)).astype(np.int64)
    shown = minute_of_day(flights["dep_time"].fill_null(0)) % 1440
    assert np.array_equal(((times.due_wall + delay) % 1440)[left], shown[left])


def test_two_ways_to_a_landing_agree(flights: pa.Table, times: FlightTimes) -> None:
    """Schedule plus delay is what arr_time shows at the destination, but for one flight at a clock change; see known flights."""
    zones = zones_of(flights["dest"])
    shown = np.empty_like(times.landed)
    for zone in set(zones.tolist()):
        shown[zones == zone] = clocks.to_wall(times.landed[zones == zone], zone) % 1440
    recorded = minute_of_day(flights["arr_time"].fill_null(0)) % 1440
    disagree = np.flatnonzero(times.has_landed & (shown != recorded))
    assert disagree.tolist() == [_flight(flights, 3, 9, "B6", 35)]


def test_every_flight_had_time_to_taxi(flights: pa.Table, times: FlightTimes) -> None:
    """From leaving to landing takes the time in the air and between 5 minutes and 4 hours on the ground: no day is off by one."""
    on = times.has_landed
    left = (times.due + np.nan_to_num(flights["dep_delay"].to_numpy(zero_copy_only=False)))[on]
    ground = times.landed[on] - left - flights["air_time"].to_numpy(zero_copy_only=False)[on]
    assert (ground.min(), ground.max()) == (5, 235)


def test_airports_without_a_row_keep_atlantic_time(flights: pa.Table) -> None:
    """Exactly the four known airports are missing, and none of them has summer time."""
    missing = set(flights["dest"].unique().to_pylist()) - set(source.read("airports")["faa"].to_pylist())
    assert missing == {"BQN", "PSE", "SJU", "STT"}
    july = np.array([200 * 1440])
    for zone in zones_of(pa.chunked_array([sorted(missing)])).tolist():
        assert clocks.to_wall(july, zone)[0] == july[0] - 4 * 60
