"""Fed the flights in one recorded order, the worker's flow serves bit for bit what training computed offline."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import redis

from examples.flights import dataset
from examples.flights.pipeline import pipeline
from featurestore import offline
from featurestore.events import EventBatch
from featurestore.memory_store import MemoryStore
from featurestore.plan import compile_plan
from featurestore.redis_store import RedisStore
from featurestore.store import Store
from monitors.metrics import WorkerMetrics
from streams.chunk import Chunk
from streams.flow import Flow
from streams.outputs import TopicNames
from streams.publisher import MemoryPublisher
from streams.records import REASONS
from streams.vectors import decode_vectors
from tests.streams.records import event_chunk

PLAN = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
Run = Callable[[Callable[[Store], Awaitable[Any]]], Any]
EVENTS = 5_000  # about three days


def recorded_order() -> tuple[list[Chunk], list[EventBatch]]:
    """The first events of February in reference order: as chunks (each run of one topic), and as whole batches."""
    whole = dataset.batches(2, 2)
    order = offline.reference_order(whole)[:EVENTS].tolist()
    starts = np.cumsum([0, *(len(batch) for batch in whole)])
    which = np.searchsorted(starts, order, side="right") - 1
    taken = np.bincount(which, minlength=len(whole))
    chunks, done = [], [0] * len(whole)
    for topic, run in itertools.groupby(which.tolist()):
        n = len(list(run))
        chunks.append(event_chunk(whole[topic].events[done[topic] : done[topic] + n], first=done[topic]))
        done[topic] += n
    return chunks, [dataset.as_batch(batch.event, batch.events[:n]) for batch, n in zip(whole, taken.tolist(), strict=True)]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def on_store(request: pytest.FixtureRequest) -> Run:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None

    def run(body: Callable[[Store], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            if url:
                with redis.Redis.from_url(url) as client:
                    client.flushdb()
            return await body(RedisStore(url, PLAN.shards) if url else MemoryStore(PLAN.shards))

        return asyncio.run(main())

    return run


def test_offline_and_online_vectors_and_states_are_bit_equal(on_store: Run) -> None:
    chunks, batches = recorded_order()
    expected = offline.compute(PLAN, batches)

    async def body(store: Store) -> tuple[list[bytes], dict[str, dict[bytes, bytes]]]:
        publisher = MemoryPublisher()
        metrics = WorkerMetrics(pipeline.name, [group.name for group in PLAN.groups], REASONS)
        flow = Flow(pipeline, PLAN, store, publisher, metrics, None)
        for tp in {chunk.tp for chunk in chunks}:
            await flow.assign(tp, None, None)
        for chunk in chunks:
            await flow(chunk)
        vectors = [row for value in publisher.values(TopicNames.of(pipeline.name).features) for row in rows(value)]
        return vectors, {group.name: await store.dump(PLAN.namespace(group)) for group in PLAN.groups}

    vectors, states = on_store(body)
    assert len(vectors) > 2_000
    assert vectors == [row.tobytes() for row in expected.served.vectors]
    assert states == expected.states


def rows(value: bytes) -> list[bytes]:
    batch = decode_vectors(value)
    return [row.tobytes() for row in batch["vector"].flatten().to_numpy().reshape(len(batch), -1)]
