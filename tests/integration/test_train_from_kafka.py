"""`tidegate train --from-kafka`: the same matrix as from files with the same events; what is no event is told and not fatal."""

import asyncio
import json
from typing import Any
from zlib import crc32

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from featurestore.events import EventBatch
from featurestore.parquet import read_history
from featurestore.plan import FeaturePlan, compile_plan
from scorer.pipeline import Pipeline
from scorer.training import content_hash
from streams.audit import erasures
from streams.dead_letters import HEADER
from streams.history import KafkaHistory, needed_events, read_topics
from streams.records import DeadLetter, encode, record_id
from streams.training import labelled_rows
from tests.integration.shop import START, TILES, Shop, trade

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ALL = (0.0, float("inf"))


class Told:
    """One pipeline with what Kafka holds of it and a folder with the same."""

    def __init__(self, shop: Shop, n: int) -> None:
        self.shop = shop
        self.pipeline: Pipeline = shop.pipeline(TILES)
        self.plan: FeaturePlan = compile_plan(
            self.pipeline.name, self.pipeline.score, self.pipeline.features, self.pipeline.shards
        )
        self.events = trade(self.pipeline, 0, n)
        fraud = self.pipeline.label.event
        sales = [event for event in self.events if hasattr(event, "shop")]
        # Nothing to be learned from the features, so that training ends soon.
        self.labels = [fraud(id=sale.id, fraud=crc32(sale.id.encode()) % 3 == 0, at=sale.at + 20) for sale in sales]
        shop.send([*self.events[::2], *self.labels, *self.events[1::2]])  # no topic is in order of event time

    def from_kafka(self, between: tuple[float, float] = ALL) -> KafkaHistory:
        return asyncio.run(read_topics(self.shop.kafka, self.pipeline, self.plan, between))

    def from_files(self, leave_out: str | None = None, between: tuple[float, float] = ALL) -> list[EventBatch]:
        kept = [e for e in self.events if leave_out is None or leave_out not in (getattr(e, "user", 0), getattr(e, "buyer", 0))]
        folder = self.shop.write_history(kept)
        rows = [msgspec.to_builtins(label) for label in self.labels]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{self.shop.name}.frauds.parquet")
        return read_history(folder, needed_events(self.pipeline, self.plan), *between)

    def matrix(self, batches: list[EventBatch], erased: Any = None) -> tuple[int, str]:
        """How many rows there are, and the hash of their bits with labels, times and columns: what a model is a function of."""
        rows = labelled_rows(self.pipeline, self.plan, batches, "test", erased=erased)
        return len(rows.labels), content_hash(rows.matrix, rows.labels, rows.times, rows.schema)


def send_copy_of(shop: Shop, value: bytes) -> None:
    """A dead letter of the record with this value, and the record's replay."""
    topic = f"{shop.name}.dead-letters"
    shop.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    tp, offset = next((tp, offset) for tp, offset, found in shop.records(f"{shop.name}.sales") if found == value)
    letter = DeadLetter(
        dead_letter_id=record_id(*tp, offset),
        pipeline=shop.name,
        reason="contract",
        field=None,
        detail="",
        topic=tp.topic,
        partition=tp.partition,
        offset=offset,
        ingest_time=0.0,
        rejected_time=0.0,
        payload=None,
    )
    producer = Producer({"bootstrap.servers": shop.kafka})
    producer.produce(topic, encode(letter))
    producer.produce(tp.topic, value, partition=tp.partition, headers={HEADER: letter.dead_letter_id.encode()})
    assert producer.flush(30) == 0


def test_the_same_events_make_the_same_matrix_from_kafka_and_from_files(shop: Shop) -> None:
    told = Told(shop, 3_000)
    from_files = told.matrix(told.from_files())
    assert from_files[0] == len(told.labels)
    assert told.matrix(told.from_kafka().batches) == from_files

    producer = Producer({"bootstrap.servers": shop.kafka})
    ahead = msgspec.to_builtins(told.events[0]) | {"id": "ahead", "at": 9e9}
    for broken in (json.dumps({"id": "x"}), "no JSON", json.dumps(ahead)):
        producer.produce(f"{shop.name}.sales", broken, partition=1)
    assert producer.flush(30) == 0
    send_copy_of(shop, msgspec.json.encode(told.events[5]))
    found = told.from_kafka()
    assert found.rejected[f"{shop.name}.sales"] == {"contract": 1, "malformed": 1, "future": 1}
    assert found.copies == {f"{shop.name}.sales": 1}
    assert told.matrix(found.batches) == from_files

    between = (START + 100, START + 1_450)
    assert told.matrix(told.from_kafka(between).batches) == told.matrix(told.from_files(between=between)) != from_files

    done = shop.call("train", shop.file(TILES), "--from-kafka")
    assert done.exit_code == 0, done.output
    sales = len(told.labels)
    left_out = "1 contract, 1 malformed, 1 future, 1 replayed again of events that are there"
    assert f"{shop.name}.sales: {sales:,} events; left out: {left_out}" in done.output
    assert f"{shop.name}.frauds: {sales:,} events\n" in done.output
    assert f"{shop.name} version 1 is registered" in done.output


def test_the_forgotten_are_left_out_and_what_kafka_removed_is_told(shop: Shop) -> None:
    told = Told(shop, 700)
    assert shop.call("forget", shop.file(TILES), "user=u7", "--yes").exit_code == 0
    erased = erasures(shop.settings, told.plan)
    assert erased is not None
    assert told.matrix(told.from_kafka().batches, erased) == told.matrix(told.from_files("u7"))
    tp = next(tp for tp in shop.tps() if tp.topic.endswith(".sales"))
    shop.delete_records(tp, 10)
    assert told.from_kafka().began == {tp: 10}


def test_the_history_is_in_files_or_in_kafka(shop: Shop) -> None:
    for options in ((), ("--from-kafka", "--data", str(shop.folder))):
        refused = shop.call("train", shop.file(TILES), *options)
        assert (refused.exit_code, "--data FOLDER, or --from-kafka" in refused.output) == (2, True)
    empty = shop.call("train", shop.file(TILES), "--from-kafka")
    assert (empty.exit_code, "kafka has no Sale in the time asked for" in empty.output) == (1, True), empty.output
