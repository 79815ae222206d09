"""What every Store must do: equal bytes for any split, any interleaving of writers, and compare-and-set on fences."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore import offline
from featurestore.compute import deltas, group_chunk
from featurestore.events import Event, EventBatch, Source
from featurestore.memory_store import MemoryStore
from featurestore.redis_store import RedisStore
from featurestore.session import Session
from featurestore.store import NEVER, UNREAD, Merge, Read, Store
from streams.embedded.cluster import EmbeddedCluster
from tests.featurestore.world import PLAN, REFUNDS, SALES, Sale, batch, split

Run = Callable[[Callable[[Store], Awaitable[Any]]], Any]
SOURCE = Source("sales", 0)
GROUP = PLAN.groups[0]
SPACE = PLAN.namespace(GROUP)


REDISES = {"valkey": "redis_url", "redis": "debians_redis_url", "cluster": "cluster"}  # and the fixture that has it


@pytest.fixture(params=["memory", *(pytest.param(name, marks=pytest.mark.integration) for name in REDISES)])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine function on an empty store of each kind."""
    server = request.getfixturevalue(REDISES[request.param]) if request.param in REDISES else None

    def runner(body: Callable[[Store], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            store: Store = RedisStore(emptied(server), PLAN.shards) if server else MemoryStore(PLAN.shards)
            try:
                return await body(store)
            finally:
                await store.close()

        return asyncio.run(main())

    return runner


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


def by_hypothesis(examples: int) -> Any:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@by_hypothesis(25)
@given(st.lists(SALES, min_size=1, max_size=40), st.lists(REFUNDS, max_size=20), st.lists(st.integers(0, 100), max_size=5))
def test_any_split_into_chunks_ends_in_the_offline_states(
    run: Run, sales: list[Event], refunds: list[Event], cuts: list[int]
) -> None:
    async def body(store: Store) -> None:
        await process(store, split(sales, cuts))
        if refunds:
            await process(store, split(refunds, cuts))
        batches = [batch(sales)] + ([batch(refunds)] if refunds else [])
        assert await dumps(store) == offline.compute(PLAN, batches).states

    run(body)


@by_hypothesis(25)
@given(st.lists(SALES, min_size=1, max_size=40), st.lists(st.integers(0, 100), max_size=5))
def test_vectors_in_reference_order_equal_the_offline_ones(run: Run, sales: list[Sale], cuts: list[int]) -> None:
    """Fed one recorded order, in whatever chunks, a worker serves bit-equal vectors."""
    ordered = sorted(sales, key=lambda sale: sale.at)
    history = offline.compute(PLAN, [batch(ordered)])

    async def body(store: Store) -> None:
        assert await process(store, split(ordered, cuts)) == [row.tobytes() for row in history.served.vectors]

    run(body)


@by_hypothesis(25)
@given(st.lists(SALES, min_size=2, max_size=40), st.lists(SALES, min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_any_interleaving_of_two_writers_ends_in_the_same_states(
    run: Run, left: list[Event], right: list[Event], dice: random.Random
) -> None:
    """Two partitions with the same entities, their reads and merges interleaved at random."""

    async def body(store: Store) -> None:
        waiting = [
            walk(store, split(left, [dice.randrange(99) for _ in range(3)], 0)),
            walk(store, split(right, [dice.randrange(99) for _ in range(3)], 1)),
        ]
        while waiting:
            chosen = dice.choice(waiting)
            try:
                await anext(chosen)
            except StopAsyncIteration:
                waiting.remove(chosen)
        assert await dumps(store) == offline.compute(PLAN, [batch(left, 0), batch(right, 1)]).states

    run(body)


async def walk(store: Store, chunks: list[EventBatch]) -> Any:
    """`process`, pausing between reads and merges."""
    session = Session(PLAN, store, chunks[0].source)
    await session.begin(None)
    for chunk in chunks:
        view = await session.read(chunk)
        yield
        await session.merge(view, int(chunk.offsets[-1]))
        yield


def one_merge(sales: list[Event], expected: int, new: int) -> Merge:
    events = batch(sales)
    chunk = group_chunk(PLAN, GROUP, events)
    shards = np.unique(chunk.entities.shards).tolist()
    everything = np.ones(len(events), dtype=np.bool_)
    fences = np.full(PLAN.shards, expected, dtype=np.int64)
    return Merge(SPACE, GROUP, chunk.entities, deltas(chunk, events.times, everything), shards, fences, new)


SALE = Sale(id="1", user="ann", shop="baker", amount=5.0, at=1_000.0)


def test_a_merge_with_another_fence_changes_nothing(run: Run) -> None:
    async def body(store: Store) -> None:
        merge = one_merge([SALE], NEVER, 7)
        (first,) = await store.merge(SOURCE, [merge])
        before = await store.dump(SPACE)
        (second,) = await store.merge(SOURCE, [merge])
        shard = merge.shards[0]
        assert (first[shard], second[shard]) == (NEVER, 7)
        assert await store.dump(SPACE) == before
        (fences,) = await store.fences([SPACE], SOURCE)
        assert fences[shard] == 7
        assert (np.delete(fences, shard) == NEVER).all()

    run(body)


def test_fences_of_two_sources_and_namespaces_are_apart(run: Run) -> None:
    async def body(store: Store) -> None:
        await store.merge(SOURCE, [one_merge([SALE], NEVER, 7)])
        other, elsewhere = await store.fences([SPACE, "elsewhere"], Source("sales", 1))
        assert (other == NEVER).all()
        assert (elsewhere == NEVER).all()

    run(body)


def test_a_read_gives_states_and_the_fences_of_the_touched_shards_only(run: Run) -> None:
    async def body(store: Store) -> None:
        merge = one_merge([SALE], NEVER, 7)
        await store.merge(SOURCE, [merge])
        (reply,) = await store.read(SOURCE, [Read(SPACE, GROUP, merge.entities)])
        shard = merge.shards[0]
        assert reply.fences[shard] == 7
        assert (np.delete(reply.fences, shard) == UNREAD).all()
        assert reply.states[0].tobytes() == (await store.dump(SPACE))[b"ann"]
        reply.states[0, 1] = 0.0  # writable

    run(body)


def test_many_entities_in_one_merge(run: Run) -> None:
    """More keys than one Lua call can unpack at once."""

    async def body(store: Store) -> None:
        sales: list[Event] = [Sale(id=str(i), user=f"u{i}", shop="baker", amount=1.0, at=1_000.0 + i) for i in range(12_000)]
        await process(store, [batch(sales)])
        assert len(await store.dump(SPACE)) == 12_000
        assert await dumps(store) == offline.compute(PLAN, [batch(sales)]).states

    run(body)
