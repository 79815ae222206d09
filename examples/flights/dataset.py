"""The flights and the weather of 2013 as three topics in order of time: as tables, events, Parquet files or Kafka records.

What a record holds is left to records.py, when things happened to moments.py.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from examples.flights import clocks, records
from examples.flights.events import Arrival, Departure, Weather
from featurestore.events import EventBatch, Source, contract, field_types
from streams import Event

Progress = Callable[[str, float], None]  # what is being done, and the share done of it

TOPICS: tuple[type[Event], ...] = (Departure, Arrival, Weather)
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


def batches(first: int = 1, last: int = 12) -> list[EventBatch]:
    """The accepted events of the months as the offline kernel takes them: one partition a topic, ingested as they happened."""
    return [as_batch(event, listed) for event, listed in events(first, last).items()]


def as_batch(event: type[Event], listed: list[Any]) -> EventBatch:
    """Events in order of event time as the whole of partition 0 of their topic."""
    agreed = contract(event)
    times = np.array([getattr(one, agreed.time) for one in listed], dtype=np.float64)
    keys = [_key(getattr(one, agreed.key)) for one in listed]
    return EventBatch(event, Source(agreed.topic, 0), np.arange(len(listed)), times, times, keys, listed)


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
        yield Record(agreed.topic, _key(getattr(one, agreed.key)), encode(one), getattr(one, agreed.time))


def _key(entity: str | None) -> bytes | None:
    return None if entity is None else entity.encode()


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
    return {event: in_order(event, table) for event, table in records.year().items()}


def in_order(event: type[Event], table: pa.Table) -> pa.Table:
    """By event time, and ties by id: flights.csv lists flights as they really left, which a count of flights due would tell."""
    agreed = contract(event)
    return table.sort_by([(agreed.time, "ascending"), (agreed.id, "ascending")])
