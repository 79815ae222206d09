"""Records larger than an output topic takes: the partition goes on, and what could not be published is told of."""

import asyncio
import dataclasses
import os
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from featurestore.memory_store import MemoryStore
from featurestore.plan import compile_plan
from monitors.metrics import WorkerMetrics
from scorer.pipeline import Pipeline
from streams.chunk import Chunk
from streams.errors import RecordTooLarge
from streams.flow import Flow
from streams.outputs import TopicNames
from streams.publisher import KafkaPublisher
from streams.records import REASONS, DeadLetter, Prediction
from streams.vectors import decode_vectors
from tests.streams.records import RawRecord, event_chunk
from tests.streams.test_flow import PIPELINE, sales, serving
from tests.streams.test_publisher import read

pytestmark = pytest.mark.integration
Make = Callable[[str, int], Pipeline]


@pytest.fixture
def make(kafka: str, unique: Callable[[str], str]) -> Make:
    """`make("features", 20_000)` is a pipeline one of whose output topics takes so many bytes."""
    admin = AdminClient({"bootstrap.servers": kafka})

    def made(narrow: str, limit: int) -> Pipeline:
        pipeline = dataclasses.replace(PIPELINE, name=unique("world"))
        names = dataclasses.astuple(TopicNames.of(pipeline.name))
        limits = {name: {"max.message.bytes": str(limit)} if name.endswith(narrow) else {} for name in names}
        topics = [NewTopic(name, 1, 1, config=config) for name, config in limits.items()]
        for future in admin.create_topics(topics).values():
            future.result(timeout=30)
        return pipeline

    return made


def handle(kafka: str, pipeline: Pipeline, chunk: Chunk) -> None:
    async def scenario() -> None:
        plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
        metrics = WorkerMetrics(pipeline.name, [group.name for group in plan.groups], REASONS)
        publisher = KafkaPublisher(kafka)
        flow = Flow(pipeline, plan, MemoryStore(plan.shards), publisher, metrics, serving())
        try:
            await flow.assign(chunk.tp, None, None)
            await asyncio.wait_for(flow(chunk), 60)
        finally:
            await publisher.close()

    asyncio.run(scenario())


def values(kafka: str, topic: str) -> list[bytes]:
    return [value or b"" for _, value in read(kafka, topic, 0)]


def test_vectors_are_published_in_smaller_records(kafka: str, make: Make) -> None:
    pipeline = make("features", 20_000)
    handle(kafka, pipeline, event_chunk(sales(500)))
    found = [decode_vectors(value) for value in values(kafka, f"{pipeline.name}.features")]
    assert len(found) > 1
    ids = [id for batch in found for id in batch["prediction_id"].to_pylist()]
    assert sorted(ids) == sorted(f"sales-0-{i}" for i in range(500))


def test_a_vector_that_its_topic_never_takes_stops_the_worker_with_the_remedy(kafka: str, make: Make) -> None:
    pipeline = make("features", 100)
    with pytest.raises(RecordTooLarge, match=rf"{pipeline.name}.features failed: .* raise max.message.bytes"):
        handle(kafka, pipeline, event_chunk(sales(2)))


def test_a_prediction_that_alone_is_too_large_becomes_a_dead_letter(kafka: str, make: Make) -> None:
    """Its key comes back in it; predictions beside it arrive."""
    pipeline = make("predictions", 20_000)
    chunk = event_chunk(sales(300))
    long = os.urandom(15_000).hex().encode()
    records = [dataclasses.replace(r, key=long) if r.offset == 7 else r for r in chunk.records if isinstance(r, RawRecord)]
    handle(kafka, pipeline, Chunk(chunk.topic, chunk.partition, list(records)))
    found = [msgspec.json.decode(value, type=Prediction) for value in values(kafka, f"{pipeline.name}.predictions")]
    assert sorted(p.prediction_id for p in found) == sorted(f"sales-0-{i}" for i in range(300) if i != 7)
    (letter,) = [msgspec.json.decode(value, type=DeadLetter) for value in values(kafka, f"{pipeline.name}.dead-letters")]
    assert (letter.dead_letter_id, letter.reason) == ("sales-0-7", "oversize")
    assert "predictions takes" in letter.detail


def test_a_dead_letter_that_is_too_large_goes_without_its_payload(kafka: str, make: Make) -> None:
    pipeline = make("dead-letters", 20_000)
    broken = [RawRecord(os.urandom(30_000), 0, b"k"), RawRecord(b"{", 1, b"k")]
    handle(kafka, pipeline, Chunk("sales", 0, list(broken)))
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in values(kafka, f"{pipeline.name}.dead-letters")]
    assert sorted((letter.offset, letter.payload) for letter in letters) == [(0, None), (1, b"{")]
