"""What only a Redis Cluster does to a store: slots that move, primaries that die or hand over, nodes that differ."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from featurestore import offline
from featurestore.errors import StoreConfigError, StoreWentBackError
from featurestore.events import Event
from featurestore.redis_client import Client, connect
from featurestore.redis_store import RedisStore
from featurestore.session import Session
from streams.embedded.cluster import ClusterNode, EmbeddedCluster
from tests.featurestore.stores import SOURCE, SPACE, dumps, emptied, process
from tests.featurestore.world import PLAN, Sale, batch

pytestmark = pytest.mark.integration

KEY = f"{{{SPACE}:0}}:e:u0"  # of a slot that is made to move and to fail over


@pytest.fixture
def whole(cluster: EmbeddedCluster) -> Iterator[EmbeddedCluster]:
    """The cluster, empty, and whole again afterwards."""
    emptied(cluster)
    yield cluster
    for node in cluster.nodes:
        node.start()
    cluster.wait_until_whole()


def sales(first: int, count: int, users: int = 40) -> list[Event]:
    return [
        Sale(id=str(i), user=f"u{i % users}", shop=f"s{i % 7}", amount=1.0, at=1_000.0 + i) for i in range(first, first + count)
    ]


def run(cluster: EmbeddedCluster, body: Callable[[RedisStore, list[int]], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        retries: list[int] = []
        store = RedisStore(cluster.url, PLAN.shards, lambda: retries.append(1))
        try:
            return await body(store, retries)
        finally:
            await store.close()

    return asyncio.run(main())


async def add(store: RedisStore, first: int, count: int, users: int = 40) -> None:
    await process(store, [batch(sales(first, count, users), first_offset=first)])


async def until(condition: Callable[[], object], work: asyncio.Future[Any]) -> None:
    """Waits for the condition; the work must not end before."""
    async with asyncio.timeout(30):
        while not condition():
            assert not work.done(), work
            await asyncio.sleep(0.01)


def test_a_slot_that_moves_is_followed(whole: EmbeddedCluster) -> None:
    """Keys on both nodes: TRYAGAIN, waited for. All keys on the new one: ASK. Moved: MOVED. Nothing is lost or counted twice."""
    source = whole.primary_of(KEY)
    target = next(node for node in whole.primaries if node is not source)
    slot = int(source.ask("CLUSTER", "KEYSLOT", KEY))

    async def body(store: RedisStore, retries: list[int]) -> None:
        await add(store, 0, 200)
        with whole.moving(slot, target) as move:
            assert move(1) == 1
            work = asyncio.ensure_future(add(store, 200, 200))
            await until(lambda: len(retries) >= 2, work)
            while move(1_000):
                pass
            await asyncio.wait_for(work, 30)
        assert whole.primary_of(KEY) is target
        before = len(retries)
        await add(store, 400, 200, users=60)
        assert len(retries) == before  # MOVED says where to, and is followed at once
        batches = [batch(sales(0, 400)), batch(sales(400, 200, 60), first_offset=400)]
        assert await dumps(store) == offline.compute(PLAN, batches).states

    run(whole, body)


def test_nothing_is_lost_when_primaries_hand_over_under_load(whole: EmbeddedCluster) -> None:
    async def body(store: RedisStore, _: list[int]) -> None:
        stop = asyncio.Event()
        work = asyncio.ensure_future(load(store, stop))
        for primary in whole.primaries:
            await asyncio.to_thread(whole.hand_over, primary)
        stop.set()
        count = await asyncio.wait_for(work, 60)
        assert count > 0
        assert await dumps(store) == offline.compute(PLAN, [batch(sales(0, count))]).states

    run(whole, body)


async def load(store: RedisStore, stop: asyncio.Event) -> int:
    """Chunks of 50 events through one session, until told to stop; how many events."""
    session = Session(PLAN, store, SOURCE)
    await session.begin(None)
    done = 0
    while not stop.is_set():
        view = await session.read(batch(sales(done, 50), first_offset=done))
        await session.merge(view, done + 49)
        await session.settle(done := done + 50)
    return done


def test_a_dead_primary_is_waited_for_until_its_replica_is_elected(whole: EmbeddedCluster) -> None:
    primary = whole.primary_of(KEY)

    async def body(store: RedisStore, retries: list[int]) -> None:
        await add(store, 0, 200)
        primary.ask("WAIT", 1, 5_000)
        primary.kill()
        await asyncio.wait_for(add(store, 200, 200), 60)
        assert retries
        assert await dumps(store) == offline.compute(PLAN, [batch(sales(0, 400))]).states

    run(whole, body)


def test_a_failover_that_loses_writes_is_found_by_its_fences(whole: EmbeddedCluster) -> None:
    """What the cluster acknowledged and lost shows as lower fences; beginning anew there ends in the right states."""
    primary = whole.primary_of(KEY)

    async def body(store: RedisStore, _: list[int]) -> None:
        session = Session(PLAN, store, SOURCE)
        await session.begin(None)

        async def chunk(first: int) -> None:
            view = await session.read(batch(sales(first, 200), first_offset=first))
            await session.merge(view, first + 199)
            await session.settle(first + 200)

        await chunk(0)
        primary.ask("WAIT", 1, 5_000)
        with whole.cut_off(primary):
            await chunk(200)
            assert whole.behind_bytes(primary) > 0
            whole.take_over(primary)
        with pytest.raises(StoreWentBackError, match="it at 399"):
            await chunk(400)
        session = Session(PLAN, store, SOURCE)
        assert await session.begin(400) == 200
        for first in (200, 400):
            await chunk(first)
        assert await dumps(store) == offline.compute(PLAN, [batch(sales(0, 600))]).states

    run(whole, body)


def test_scripts_lost_by_one_node_are_loaded_there(whole: EmbeddedCluster) -> None:
    async def body(store: RedisStore, retries: list[int]) -> None:
        for i, node in enumerate(whole.primaries):
            node.ask("SCRIPT", "FLUSH")
            await add(store, 200 * i, 200)
        assert retries == []
        assert await dumps(store) == offline.compute(PLAN, [batch(sales(0, 600))]).states

    run(whole, body)


def test_who_refuses_several_shards_at_once_gets_them_alone(whole: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a proxy in front of many servers does, which calls itself one; what went through before counts once."""

    async def one(self: Client) -> bool:
        return False

    monkeypatch.setattr(Client, "clustered", one)

    async def body(store: RedisStore, retries: list[int]) -> None:
        await add(store, 0, 200)
        await add(store, 200, 200)
        assert retries == []
        assert await dumps(store) == offline.compute(PLAN, [batch(sales(0, 400))]).states

    run(whole, body)


def test_one_full_node_is_waited_for(whole: EmbeddedCluster) -> None:
    node = whole.primary_of(KEY)

    async def body(store: RedisStore, retries: list[int]) -> None:
        await add(store, 0, 200)
        node.ask("CONFIG", "SET", "maxmemory", "1")
        work = asyncio.ensure_future(add(store, 200, 200))
        await until(lambda: len(retries) >= 2, work)
        node.ask("CONFIG", "SET", "maxmemory", "0")
        await asyncio.wait_for(work, 30)
        assert await dumps(store) == offline.compute(PLAN, [batch(sales(0, 400))]).states

    try:
        run(whole, body)
    finally:
        node.ask("CONFIG", "SET", "maxmemory", "0")


@pytest.mark.parametrize("role", ["primary", "replica"])
def test_a_node_that_may_evict_is_refused_by_name(whole: EmbeddedCluster, role: str) -> None:
    """A replica, too: it may be the primary tomorrow."""
    primary = whole.primary_of(KEY)
    node: ClusterNode = primary if role == "primary" else whole.replica_of(primary)
    node.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    try:
        with pytest.raises(StoreConfigError, match=rf"127\.0\.0\.1:{node.port} has maxmemory-policy allkeys-lfu"):
            run(whole, lambda store, _: store.check())
    finally:
        node.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_a_node_that_is_away_makes_the_store_away_though_others_answer(whole: EmbeddedCluster) -> None:
    gone = whole.primary_of(KEY)
    elsewhere = next(name for i in range(1_000) if whole.primary_of(name := f"key-{i}") is not gone)

    async def main() -> None:
        said: list[bool] = []
        client = connect(whole.url, on_away=said.append)
        try:
            assert await client.execute([("SET", elsewhere, 1), ("SET", KEY, 2)]) == [True, True]
            gone.pause()
            waiting = asyncio.ensure_future(client.execute([("GET", KEY)]))
            await until(lambda: said, waiting)
            assert await client.execute([("GET", elsewhere)]) == [b"1"]
            assert waiting.done() or said == [True]
            gone.resume()
            assert await asyncio.wait_for(waiting, 60) == [b"2"]
            assert said == [True, False]
        finally:
            gone.resume()
            await client.aclose()

    asyncio.run(main())
