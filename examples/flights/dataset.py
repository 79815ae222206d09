"""The year 2013 as three topics: each record holds what was known at its own time, and no more.

How moments are derived, and what the two ways to derive a landing say of each other, is in README.md. Reading the files is
left to source.py, wall clocks to clocks.py.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from examples.flights import clocks, source
from examples.flights.events import Arrival, Departure, Weather
from featurestore.events import contract, field_types
from streams import Event

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Progress = Callable[[str, float], None]  # what is being done, and the share done of it

TOPICS: tuple[type[Event], ...] = (Departure, Arrival, Weather)
# The package has no rows for Puerto Rico's airports and St. Thomas; all keep Atlantic time, without daylight saving.
ATLANTIC = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
_BATCH = 20_000


class Record(NamedTuple):
    """One Kafka record as a producer sends it; ``time`` is the event's, seconds since the epoch."""

    topic: str
    key: bytes | None
    value: bytes
    time: float


def quiet(what: str, share: float) -> None:
    """The progress callback that shows nothing."""


def tables(first: int = 1, last: int = 12) -> dict[type[Event], pa.Table]:
    """Each topic's events whose time falls in the months ``first`` to ``last`` of 2013 (New York's), in order of event time.

    Columns are the event's fields. Records that break the contract are still in.
    """
    return {event: _in_months(event, table, first, last) for event, table in _year().items()}


def accepted(event: type[Event], table: pa.Table) -> pa.Table:
    """The rows within the bounds of the event's contract: what a worker does not send to the dead-letter topic."""
    within = pa.array(np.ones(len(table), dtype=bool))
    for name, declared in field_types(event).items():
        if declared.low is not None and declared.high is not None:
            inside = pc.and_(pc.greater_equal(table[name], declared.low), pc.less_equal(table[name], declared.high))
            within = pc.and_(within, pc.fill_null(inside, declared.nullable))
    return table.filter(within)


def events(first: int = 1, last: int = 12) -> dict[type[Event], list[Any]]:
    """Each topic's accepted events of the months ``first`` to ``last``, in order of event time."""
    return {event: list(_decoded(event, accepted(event, table))) for event, table in tables(first, last).items()}


def write_parquet(folder: Path, first: int = 1, last: int = 12, progress: Progress = quiet) -> dict[type[Event], Path]:
    """One file a topic, ``<topic>.parquet``, with the accepted events of the months in order of event time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for done, (event, table) in enumerate(tables(first, last).items()):
        topic = contract(event).topic
        progress(f"writing {topic}", done / len(TOPICS))
        written[event] = folder / f"{topic}.parquet"
        pa.parquet.write_table(accepted(event, table), written[event])
    progress("written", 1.0)
    return written


def replay_order(first: int = 1, last: int = 12, progress: Progress = quiet) -> Iterator[Record]:
    """Every record of the months, merged by (event time, topic): what a producer sends, contract breaks included."""
    chosen = tables(first, last)
    times = [chosen[event][contract(event).time].to_numpy() for event in TOPICS]
    which = np.repeat(np.arange(len(TOPICS)), [len(column) for column in times])
    topics = np.argsort(np.argsort([contract(event).topic for event in TOPICS]))
    order = which[np.lexsort((topics[which], np.concatenate(times)))]
    streams = [_records(event, chosen[event]) for event in TOPICS]
    for sent, topic in enumerate(order.tolist()):
        if sent % _BATCH == 0:
            progress("sending flights and weather", sent / len(order))
        yield next(streams[topic])
    progress("sending flights and weather", 1.0)


def _records(event: type[Event], table: pa.Table) -> Iterator[Record]:
    agreed = contract(event)
    encode = msgspec.json.Encoder().encode
    for one in _decoded(event, table):
        key = getattr(one, agreed.key)
        yield Record(agreed.topic, None if key is None else key.encode(), encode(one), getattr(one, agreed.time))


def _decoded(event: type[Event], table: pa.Table) -> Iterator[Any]:
    """Structs from rows; bounds are not checked, which is what lets a producer send what a contract refuses."""
    columns = event.__struct_fields__
    for batch in table.select(columns).to_batches(max_chunksize=_BATCH):
        yield from map(event, *(column.to_pylist() for column in batch.columns))


def _in_months(event: type[Event], table: pa.Table, first: int, last: int) -> pa.Table:
    if not 1 <= first <= last <= 12:
        raise ValueError(f"months {first} to {last}: choose first and last between 1 and 12, in order")
    times = table[contract(event).time].to_numpy()
    start, end = np.searchsorted(times, [month_start(first), month_start(last + 1)])
    if last == 12:
        end = len(times)  # New Year's Eve's flights land next year
    return table.slice(start, end - start)


def month_start(month: int) -> float:
    """When a month of 2013 begins in New York (13: the next year), seconds since the epoch."""
    day = np.datetime64(f"{2013 + (month - 1) // 12}-{(month - 1) % 12 + 1:02d}-01", "m")
    wall = (day - np.datetime64("2013-01-01", "m")).astype(np.int64)
    return float(clocks.seconds(clocks.to_utc(np.array([wall]), clocks.NEW_YORK))[0])


@cache
def _year() -> dict[type[Event], pa.Table]:
    flights = source.read("flights")
    times = flight_times(flights)
    made = {
        Departure: _departures(flights, times),
        Arrival: _arrivals(flights, times),
        Weather: _observations(source.read("weather")),
    }
    return {event: table.sort_by(contract(event).time) for event, table in made.items()}


class FlightTimes(NamedTuple):
    """Moments of every flight, minutes since the start of 2013 UTC."""

    due: Ints  # scheduled departure
    due_wall: Ints  # the same on New York's clocks
    arrival_due: Ints  # scheduled arrival
    landed: Ints  # at the gate; meaningless where ``has_landed`` is False
    has_landed: Bools


def flight_times(flights: pa.Table) -> FlightTimes:
    """Scheduled and actual moments of each row of flights.csv.

    A scheduled arrival is the first time after departure at which the destination's clock shows it. A flight landed its recorded
    delay after that: the delay counts minutes, so that it needs neither the date nor the offset that arr_time leaves open.
    """
    day = _days(flights)
    due_wall = day * 1440 + _minute_of_day(flights["sched_dep_time"])
    due = clocks.to_utc(due_wall, clocks.NEW_YORK)
    arrival_due = np.empty_like(due)
    zones = _zones(flights["dest"])
    for zone in sorted(set(zones.tolist())):
        rows = zones == zone
        arrival_due[rows] = _next_showing(due[rows], _minute_of_day(flights["sched_arr_time"])[rows], zone)
    delay = flights["arr_delay"]
    return FlightTimes(
        due=due,
        due_wall=due_wall,
        arrival_due=arrival_due,
        landed=arrival_due + pc.fill_null(delay, 0).to_numpy(),
        has_landed=delay.is_valid().to_numpy(),
    )


def _next_showing(after: Ints, minute: Ints, zone: str) -> Ints:
    """The first moments after ``after`` at which the zone's clocks show ``minute`` of the day."""
    midnight = clocks.to_wall(after, zone) // 1440 * 1440
    today = clocks.to_utc(midnight + minute, zone)
    return np.where(today > after, today, clocks.to_utc(midnight + 1440 + minute, zone))


def _zones(airports: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    known = source.read("airports")
    zone = dict(zip(known["faa"].to_pylist(), known["tzone"].to_pylist(), strict=True)) | ATLANTIC
    return np.array([zone[airport] for airport in airports.to_pylist()])


def _days(flights: pa.Table) -> Ints:
    dates = [flights[part].to_numpy() for part in ("year", "month", "day")]
    months = (dates[0] - 1970) * 12 + dates[1] - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") - np.datetime64("2013-01-01", "D")
    return np.asarray(days.astype(np.int64) + dates[2] - 1)


def _minute_of_day(clock: pa.ChunkedArray) -> Ints:
    shown = clock.to_numpy()  # 1305 is five past one in the afternoon
    return np.asarray(shown // 100 * 60 + shown % 100)


def _departures(flights: pa.Table, times: FlightTimes) -> pa.Table:
    planes = source.read("planes")
    row = pc.index_in(flights["tailnum"], planes["tailnum"])
    columns = {
        "flight_id": _flight_ids(flights),
        "scheduled_at": clocks.seconds(times.due),
        **{name: flights[name] for name in ("carrier", "origin", "dest", "tailnum")},
        "distance": flights["distance"].cast(pa.float64()),
        "scheduled_minutes": (times.arrival_due - times.due).astype(float),
        "local_hour": times.due_wall % 1440 / 60,
        "plane_year": planes["year"].take(row).cast(pa.float64()),
        "seats": planes["seats"].take(row).cast(pa.float64()),
    }
    return pa.table(columns).select(Departure.__struct_fields__)


def _arrivals(flights: pa.Table, times: FlightTimes) -> pa.Table:
    columns = {
        "flight_id": _flight_ids(flights),
        "landed_at": clocks.seconds(times.landed),
        **{name: flights[name] for name in ("carrier", "origin", "dest", "tailnum")},
        "delay_minutes": flights["arr_delay"].cast(pa.float64()),
    }
    return pa.table(columns).select(Arrival.__struct_fields__).filter(pa.array(times.has_landed))


def _flight_ids(flights: pa.Table) -> pa.ChunkedArray:
    """Date, carrier and number, origin and destination; numbers fly twice a day, but not between the same airports."""
    text = [flights[part].cast(pa.string()) for part in ("year", "month", "day")]
    date = pc.binary_join_element_wise(text[0], *(pc.utf8_lpad(part, 2, "0") for part in text[1:]), "-")
    number = pc.binary_join_element_wise(flights["carrier"], flights["flight"].cast(pa.string()), "")
    return pc.binary_join_element_wise(date, number, flights["origin"], flights["dest"], "-")


def _observations(weather: pa.Table) -> pa.Table:
    """Hours' observations an hour after their stamp: hour H sums up the reports made until H:51."""
    hour = weather["time_hour"].cast(pa.timestamp("s", "UTC"))
    names = {"temp": "temperature", "humid": "humidity", "precip": "precipitation", "visib": "visibility"}
    same = ("wind_speed", "pressure")
    columns = {
        "observation_id": pc.binary_join_element_wise(weather["origin"], pc.strftime(hour, "%Y-%m-%dT%HZ"), "-"),
        "available_at": pc.add(hour.cast(pa.int64()), 3600).cast(pa.float64()),
        "origin": weather["origin"],
        **{name: weather[column].cast(pa.float64()) for column, name in (names | dict(zip(same, same, strict=True))).items()},
    }
    return pa.table(columns).select(Weather.__struct_fields__)
