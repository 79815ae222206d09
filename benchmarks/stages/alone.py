"""The worker's Flow over generated chunks: a real Redis and model, and a publisher that publishes nothing."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.workload import PLAN, RATE, SEED, SOURCE, Workload
from examples.payments.generate import Stream, records
from examples.payments.pipeline import pipeline
from featurestore.redis_store import RedisStore
from monitors.metrics import WorkerMetrics
from streams.chunk import TP, Chunk, Record
from streams.flow import Flow
from streams.model_source import load_champion
from streams.publisher import Outgoing
from streams.records import REASONS

CHUNK_EVENTS = 2_000  # as the worker's largest
FIRST = TP(SOURCE, 0)


@dataclass(frozen=True, slots=True)
class Consumed:
    """A record as the transport hands it over."""

    offset: int
    key: bytes
    value: bytes
    timestamp: int
    headers: Sequence[tuple[str, bytes | None]] = field(default=())
    timestamp_type: int = 0


class Nowhere:
    """Takes what is to be published; what that costs is librdkafka's, and measured on the whole worker."""

    async def publish(self, batches: Sequence[Outgoing]) -> None:
        return None

    async def close(self) -> None:
        return None


def chunks(count: int) -> Iterator[Chunk]:
    """So many full chunks of one partition, one after the other."""
    now_ms, offset = int(time.time() * 1000), 0
    found: list[Record] = []
    for keys, values in records(Stream(count * CHUNK_EVENTS, RATE, SEED)):
        for key, value in zip(keys, values, strict=True):
            found.append(Consumed(offset, key, value, now_ms))
            offset += 1
            if len(found) == CHUNK_EVENTS:
                yield Chunk(*FIRST, found)
                found = []


@asynccontextmanager
async def flow(workload: Workload) -> AsyncIterator[Flow]:
    """One that has begun with the source's first partition, on an empty Redis."""
    workload.forget()
    metrics = WorkerMetrics(pipeline.name, [group.name for group in PLAN.groups], REASONS)
    model = load_champion(workload.settings, pipeline.name, PLAN.schema, metrics)
    store = RedisStore(workload.stack.redis_url, PLAN.shards)
    made = Flow(pipeline, PLAN, store, Nowhere(), metrics, model)
    await made.assign(FIRST, None, None)
    try:
        yield made
    finally:
        await store.close()
