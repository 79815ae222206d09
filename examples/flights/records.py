"""The three topics' records from the package's files: each holds what was known at its own time, and no more."""

import pyarrow as pa
import pyarrow.compute as pc

from examples.flights import clocks, source
from examples.flights.events import Arrival, Departure, Weather
from examples.flights.moments import FlightTimes, flight_times
from streams import Event


def year() -> dict[type[Event], pa.Table]:
    """Each topic's records of 2013, in the files' order; a column a field, contract breaks included."""
    flights = source.read("flights")
    times = flight_times(flights)
    return {
        Departure: departures(flights, times),
        Arrival: arrivals(flights, times),
        Weather: observations(source.read("weather")),
    }


def departures(flights: pa.Table, times: FlightTimes) -> pa.Table:
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


def arrivals(flights: pa.Table, times: FlightTimes) -> pa.Table:
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


def observations(weather: pa.Table) -> pa.Table:
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
