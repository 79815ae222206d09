"""Stores under test: where they are, and the whole protocol over chunks."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import redis

from featurestore.compute import accumulated, group_chunk
from featurestore.events import Event, EventBatch, Ints, Source
from featurestore.session import Session
from featurestore.store import UNREAD, Merge, Store
from streams.embedded.cluster import EmbeddedCluster
from tests.featurestore.world import PLAN, Sale, batch

Run = Callable[[Callable[[Store], Awaitable[Any]]], Any]
SOURCE = Source("sales", 0)
GROUP = PLAN.groups[0]
SPACE = PLAN.namespace(GROUP)
SALE = Sale(id="1", user="ann", shop="baker", amount=5.0, at=1_000.0)
REDISES = {"valkey": "redis_url", "redis": "debians_redis_url", "cluster": "cluster"}  # and the fixture that has it


def emptied(server: str | EmbeddedCluster) -> str:
    """The URL of a Redis, or of a cluster, that holds nothing now."""
    urls = [server] if isinstance(server, str) else [node.url for node in server.primaries]
    for url in urls:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    return urls[0]


async def process(store: Store, chunks: list[EventBatch]) -> list[bytes]:
    """The whole protocol over chunks of one partition, in order; the vectors served."""
    session = Session(PLAN, store, chunks[0].source)
    await session.begin(None)
    vectors = []
    for chunk in chunks:
        view = await session.read(chunk)
        if chunk.event is Sale:
            vectors += [row.tobytes() for row in session.serve(view).vectors]
        await session.merge(view, int(chunk.offsets[-1]))
        await session.settle(int(chunk.offsets[-1]) + 1)
    return vectors


async def dumps(store: Store) -> dict[str, dict[bytes, bytes]]:
    return {group.name: await store.dump(PLAN.namespace(group)) for group in PLAN.groups}


def one_merge(sales: list[Event], expected: int, new: int) -> Merge:
    events = batch(sales)
    chunk = group_chunk(PLAN, GROUP, events)
    shards = np.unique(chunk.entities.shards).tolist()
    everything = np.ones(len(events), dtype=np.bool_)
    added, dropped = accumulated(chunk, events.times, everything)
    return Merge(SPACE, GROUP, chunk.entities, added, shards, fences([expected], shards), fences([new], shards), dropped)


def fences(values: Sequence[int], shards: Sequence[int]) -> Ints:
    """Of each source the same value in these shards, UNREAD in the others."""
    out = np.full((len(values), PLAN.shards), UNREAD, dtype=np.int64)
    out[:, shards] = np.array(values)[:, None]
    return out
