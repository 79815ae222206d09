"""What only Redis can do to a store: lose its scripts, be full, be read-only, hold something else under a key, evict."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from featurestore import offline
from featurestore.errors import LayoutError, StoreConfigError
from featurestore.redis_store import RedisStore
from tests.featurestore.test_store_conformance import SALE, SPACE, dumps, process
from tests.featurestore.world import PLAN, Sale, batch

pytestmark = pytest.mark.integration


def sales(n: int) -> list[Any]:
    return [Sale(id=str(i), user=f"u{i}", shop="baker", amount=1.0, at=1_000.0 + i) for i in range(n)]


def run(url: str, body: Callable[[RedisStore, list[int]], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        retries: list[int] = []
        store = RedisStore(url, PLAN.shards, lambda: retries.append(1))
        try:
            return await body(store, retries)
        finally:
            await store.close()

    return asyncio.run(main())


def test_lost_scripts_are_loaded_again(redis_url: str, redis_client: redis.Redis) -> None:
    async def body(store: RedisStore, _: list[int]) -> None:
        for i in range(5):
            redis_client.script_flush()
            await process(store, [batch(sales(3), first_offset=3 * i)])

    run(redis_url, body)
    assert redis_client.keys(f"{{{SPACE}:*")


@pytest.mark.parametrize(("setting", "broken", "mended"), [("maxmemory", "1", "0"), ("min-replicas-to-write", "3", "0")])
def test_a_server_that_takes_no_writes_is_waited_for(
    redis_url: str, redis_client: redis.Redis, setting: str, broken: str, mended: str
) -> None:
    events = sales(50)

    async def body(store: RedisStore, retries: list[int]) -> None:
        redis_client.config_set(setting, broken)
        work = asyncio.ensure_future(process(store, [batch(events)]))
        while len(retries) < 2:
            assert not work.done(), work
            await asyncio.sleep(0.01)
        redis_client.config_set(setting, mended)
        await asyncio.wait_for(work, 30)
        assert await dumps(store) == offline.compute(PLAN, [batch(events)]).states

    try:
        run(redis_url, body)
    finally:
        redis_client.config_set(setting, mended)


def test_a_state_of_another_size_is_refused_and_nothing_is_merged(redis_url: str, redis_client: redis.Redis) -> None:
    async def body(store: RedisStore, _: list[int]) -> None:
        await process(store, [batch([SALE])])
        key = next(key for key in redis_client.scan_iter() if key.startswith(b"{" + SPACE.encode()) and key.endswith(b":e:ann"))
        before = {k: redis_client.get(k) for k in redis_client.scan_iter()}
        redis_client.set(key, b"short")
        with pytest.raises(LayoutError, match="drop its namespace"):
            await process(store, [batch([SALE], first_offset=1)])
        after = {k: redis_client.get(k) for k in redis_client.scan_iter()}
        assert {k: v for k, v in after.items() if k != key} == {k: v for k, v in before.items() if k != key}

    run(redis_url, body)


def test_a_redis_that_may_evict_is_refused(redis_url: str, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreConfigError, match="maxmemory-policy noeviction"):
            run(redis_url, lambda store, _: store.check())
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
