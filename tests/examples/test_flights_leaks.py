"""Nothing from after the moment of scoring reaches a vector: neither by a record's fields, nor their order, nor by a window."""

from typing import Any

import msgspec
import numpy as np
import pytest

from examples.flights import dataset, records, source
from examples.flights.events import Arrival, Departure, Weather
from examples.flights.moments import flight_times
from examples.flights.pipeline import pipeline
from featurestore.events import EventBatch, Floats, contract
from featurestore.offline import compute
from featurestore.plan import compile_plan

PLAN = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
WHAT_HAPPENED = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
MONTH = 2  # with a blizzard, and thus many delays


def test_departures_do_not_depend_on_what_happened() -> None:
    """Whatever the actual times are, and in whatever order the file lists flights, the departures' records are the same."""
    flights = source.read("flights")
    random = np.random.default_rng(7)
    other = flights
    for name in WHAT_HAPPENED:
        shuffled = flights[name].take(random.permutation(len(flights)))
        other = other.set_column(other.column_names.index(name), name, shuffled)
    other = other.take(random.permutation(len(flights)))
    was, now = (dataset.in_order(Departure, records.departures(table, flight_times(table))) for table in (flights, other))
    assert now.equals(was)


def test_an_arrival_is_known_when_the_flight_is_at_the_gate() -> None:
    """No arrival's time is before schedule plus delay, nor before its own departure was due less the earliest ever seen."""
    tables = dataset.tables()
    due = dict(zip(*(tables[Departure][name].to_pylist() for name in ("flight_id", "scheduled_at")), strict=True))
    planned = dict(zip(*(tables[Departure][name].to_pylist() for name in ("flight_id", "scheduled_minutes")), strict=True))
    for row in tables[Arrival].select(["flight_id", "landed_at", "delay_minutes"]).to_pylist():
        known = due[row["flight_id"]] + 60 * (planned[row["flight_id"]] + row["delay_minutes"])
        assert row["landed_at"] == known > due[row["flight_id"]]


@pytest.fixture(scope="module")
def batches() -> list[EventBatch]:
    return dataset.batches(MONTH, MONTH)


@pytest.fixture(scope="module")
def vectors(batches: list[EventBatch]) -> Floats:
    return compute(PLAN, batches).served.vectors


@pytest.mark.parametrize("day", [0.9, 8.5, 14.77, 27.3])
def test_vectors_do_not_depend_on_later_records(batches: list[EventBatch], vectors: Floats, day: float) -> None:
    """Change or drop every record after a moment: all vectors up to it keep every bit."""
    moment = dataset.month_start(MONTH) + day * 86400
    random = np.random.default_rng(int(day * 100))
    history = compute(PLAN, [_changed(batch, batch.times > moment, random) for batch in batches])
    before = int((history.times <= moment).sum())
    assert 0 < before == int((_times(batches) <= moment).sum())
    assert history.served.vectors[:before].tobytes() == vectors[:before].tobytes()


def test_vectors_do_depend_on_earlier_records(batches: list[EventBatch], vectors: Floats) -> None:
    """The same change to the records before a moment is seen after it: the test above could fail."""
    moment = dataset.month_start(MONTH) + 14 * 86400
    random = np.random.default_rng(1)
    changed = [batch if batch.event is Departure else _changed(batch, batch.times <= moment, random) for batch in batches]
    history = compute(PLAN, changed)
    soon = (history.times > moment) & (history.times < moment + 3600)
    assert (history.served.vectors[soon] != vectors[soon]).any(axis=1).all()


def test_the_border_is_the_minute_of_scoring(batches: list[EventBatch], vectors: Floats) -> None:
    """An arrival at the minute of scoring is in the vector, one a minute later is not: the border is where it should be."""
    arrivals = next(batch for batch in batches if batch.event is Arrival)
    scored = next(batch for batch in batches if batch.event is Departure)
    column = PLAN.schema.names.index("arrival_by_origin.delay_minutes.mean.1h")
    row = 5_000
    flight, origin = scored.events[row], scored.events[row].origin
    start = (scored.times[row] - 3600) // 300 * 300
    seen = (arrivals.times >= start) & (arrivals.times <= scored.times[row])
    delays = [one.delay_minutes for one, within in zip(arrivals.events, seen, strict=True) if within and one.origin == origin]
    assert flight.scheduled_at == scored.times[row]
    assert delays
    assert vectors[row, column] == pytest.approx(np.mean(delays), abs=1e-5)


def _times(batches: list[EventBatch]) -> Floats:
    return next(batch.times for batch in batches if batch.event is Departure)


def _changed(batch: EventBatch, rows: Any, random: np.random.Generator) -> EventBatch:
    """The batch with half of the chosen events dropped and the others' contents changed; ids and times stay."""
    kept = []
    for event, chosen in zip(batch.events, rows.tolist(), strict=True):
        if not chosen:
            kept.append(event)
        elif random.random() < 0.5:
            kept.append(msgspec.structs.replace(event, **_CHANGES[batch.event](random)))
    return dataset.as_batch(batch.event, kept)


_CHANGES: dict[Any, Any] = {
    Departure: lambda random: {"origin": str(random.choice(["EWR", "JFK", "LGA"])), "tailnum": "N14228"},
    Arrival: lambda random: {"delay_minutes": float(random.integers(-60, 600)), "carrier": "UA"},
    Weather: lambda random: {"precipitation": 1.0, "visibility": float(random.integers(0, 10)), "temperature": None},
}


def test_every_group_is_fed_by_a_topic_of_the_past() -> None:
    """What the perturbations change is all there is: the pipeline reads these three topics and no other."""
    assert {contract(event).topic for event in PLAN.events} == {"flights.departures", "flights.arrivals", "flights.weather"}
