"""The topics: contracts, order, months, files and records."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

from examples.flights import dataset, source
from examples.flights.events import Arrival, Departure, Weather
from featurestore.events import contract
from streams import Event

ROWS: dict[type[Event], int] = {Departure: 336_776, Arrival: 327_346, Weather: 26_115}


def test_contracts_accept_all_but_one_record() -> None:
    """Every real record is within bounds, but one observation of 1,048 miles an hour of wind: what contracts are for."""
    tables = dataset.tables()
    rejects = {}
    for event, table in tables.items():
        assert len(table) == ROWS[event]
        kept = dataset.accepted(event, table)
        name = contract(event).id
        rejects[event] = table.filter(pc.invert(pc.is_in(table[name], kept[name]))).to_pylist()
    print(rejects)
    assert rejects[Departure] == rejects[Arrival] == []
    assert [round(row["wind_speed"]) for row in rejects[Weather]] == [1048]


@pytest.mark.parametrize("event", [Departure, Arrival, Weather])
def test_bounds_are_those_of_the_decoder(event: type[Event]) -> None:
    """The column-wise check refuses the records that msgspec, the worker's decoder, refuses; here a month of wire records."""
    decoder = msgspec.json.Decoder(event)
    topic = contract(event).topic
    refused = 0
    for record in dataset.replay_order(2, 2):
        if record.topic == topic:
            try:
                decoder.decode(record.value)
            except msgspec.ValidationError:
                refused += 1
    month = dataset.tables(2, 2)[event]
    assert refused == len(month) - len(dataset.accepted(event, month))


def test_cancelled_and_diverted_flights_never_arrive() -> None:
    """8,255 flights did not leave and 1,175 left without a recorded arrival; all are scored, none has an arrival."""
    flights = source.read("flights")
    tables = dataset.tables()
    arrived = set(tables[Arrival]["flight_id"].to_pylist())
    departures = tables[Departure]["flight_id"].to_pylist()
    assert flights["dep_time"].null_count == 8_255
    assert len(set(departures) - arrived) == flights["arr_delay"].null_count == 8_255 + 1_175


def test_an_aircraft_is_missing_only_where_a_flight_was_cancelled() -> None:
    """No tail number means cancelled: such a departure has no label, so that its absence tells the model nothing."""
    tables = dataset.tables()
    without = tables[Departure].filter(tables[Departure]["tailnum"].is_null())
    assert len(without) == 2_512
    assert not set(without["flight_id"].to_pylist()) & set(tables[Arrival]["flight_id"].to_pylist())


@pytest.mark.parametrize("event", [Departure, Arrival, Weather])
def test_ids_are_unique(event: type[Event]) -> None:
    """One id, one record of a topic."""
    ids = dataset.tables()[event][contract(event).id]
    assert len(ids.unique()) == len(ids)


def test_observations_are_known_an_hour_after_their_stamp() -> None:
    """Hour H sums up reports until H:51; the record comes at H + 1."""
    first = dataset.tables()[Weather].to_pylist()[0]
    assert first["observation_id"] == "EWR-2013-01-01T06Z"
    assert first["available_at"] == np.datetime64("2013-01-01T07:00", "s").astype(np.int64)


def test_months_partition_the_year() -> None:
    """Every record is in exactly one month, by its own time; flights that land in the new year are in December."""
    for event, rows in ROWS.items():
        parts = [dataset.tables(month, month)[event] for month in range(1, 13)]
        assert pa.concat_tables(parts).equals(dataset.tables()[event])
        assert sum(map(len, parts)) == rows


def test_months_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="choose first and last"):
        dataset.tables(7, 6)


def test_parquet_holds_the_accepted_events(tmp_path: Path) -> None:
    """One file a topic with the event's fields as columns, in order of time; and progress reaches 1."""
    shares: list[float] = []
    files = dataset.write_parquet(tmp_path, 2, 2, progress=lambda what, share: shares.append(share))
    assert shares[-1] == 1.0
    for event, path in files.items():
        assert path == tmp_path / f"{contract(event).topic}.parquet"
        table = pa.parquet.read_table(path)
        assert tuple(table.column_names) == event.__struct_fields__
        assert table.to_pylist() == [msgspec.structs.asdict(one) for one in dataset.events(2, 2)[event]]


def test_replay_is_in_event_order() -> None:
    """A producer sends all topics merged by (event time, topic), keyed as the contracts say."""
    records = list(dataset.replay_order(6, 6))
    assert len(records) == sum(map(len, dataset.tables(6, 6).values()))
    assert [(r.time, r.topic) for r in records] == sorted((r.time, r.topic) for r in records)
    decoders = {contract(event).topic: (event, msgspec.json.Decoder(event)) for event in ROWS}
    for record in records[:2_000]:
        event, decoder = decoders[record.topic]
        one = decoder.decode(record.value)
        key = getattr(one, contract(event).key)
        assert record.key == (None if key is None else key.encode())
        assert record.time == getattr(one, contract(event).time)
