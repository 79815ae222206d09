"""What only Redis can do to a store: lose its scripts, be full, be read-only, hold something else under a key, evict, expire."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
import pytest
import redis

from featurestore import offline
from featurestore.errors import LayoutError, StoreConfigError
from featurestore.redis_store import RedisStore
from streams.embedded.checks_external import redis_checks
from streams.enrolment import Watch
from tests.featurestore.stores import SALE, SPACE, dumps, process
from tests.featurestore.world import PLAN, Sale, batch

pytestmark = pytest.mark.integration


def sales(n: int) -> list[Any]:
    return [Sale(id=str(i), user=f"u{i}", shop="baker", amount=1.0, at=1_000.0 + i) for i in range(n)]


def run(url: str, body: Callable[[RedisStore, list[int]], Awaitable[Any]], ttl_ms: Mapping[str, int | None] | None = None) -> Any:
    async def main() -> Any:
        retries: list[int] = []
        store = RedisStore(url, PLAN.shards, lambda: retries.append(1), ttl_ms or {})
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


def test_a_read_only_server_is_waited_for(redis_url: str, redis_client: redis.Redis) -> None:
    """A former primary, until whoever minds it makes it one again."""
    events = sales(50)

    async def body(store: RedisStore, retries: list[int]) -> None:
        redis_client.replicaof("127.0.0.1", "1")
        work = asyncio.ensure_future(process(store, [batch(events)]))
        while len(retries) < 2:
            assert not work.done(), work
            await asyncio.sleep(0.01)
        redis_client.replicaof("NO", "ONE")
        await asyncio.wait_for(work, 30)
        assert await dumps(store) == offline.compute(PLAN, [batch(events)]).states

    try:
        run(redis_url, body)
    finally:
        redis_client.replicaof("NO", "ONE")


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
        with pytest.raises(StoreConfigError) as refused:
            run(redis_url, lambda store, _: store.check())
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    port = redis_client.connection_pool.connection_kwargs["port"]
    assert f"redis-cli -h 127.0.0.1 -p {port} config set maxmemory-policy noeviction" in str(refused.value)
    assert "a restart forgets" in str(refused.value)


class Sound:
    """An enrolment that finds nothing wrong."""

    async def check(self) -> None:
        await asyncio.sleep(0)


def test_a_redis_that_begins_to_evict_is_noticed_by_the_watch(redis_url: str, redis_client: redis.Redis) -> None:
    async def body(store: RedisStore, _: list[int]) -> None:
        watch = Watch(Sound(), store)  # type: ignore[arg-type]
        await watch.look()
        redis_client.config_set("maxmemory-policy", "volatile-lru")
        with pytest.raises(StoreConfigError, match="volatile-lru and may drop"):
            await watch.look()

    try:
        run(redis_url, body)
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


def test_a_server_that_hides_its_policy_is_warned_of_by_worker_and_doctor(
    redis_url: str, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """As managed ones may; nobody but its keeper can know."""
    redis_client.acl_setuser("blind", enabled=True, nopass=True, commands=["+@all", "-info"], keys=["*"])
    blind = redis_url.replace("redis://", "redis://blind:x@")
    try:
        with caplog.at_level(logging.WARNING):
            run(blind, lambda store, _: store.check())
        found = {check.name: check for check in redis_checks(blind)}
    finally:
        redis_client.acl_deluser("blind")
    assert "does not tell its maxmemory-policy" in caplog.text
    assert found["Redis"].status == "ok"
    assert (found["Redis eviction"].status, "does not tell" in found["Redis eviction"].found) == ("warn", True)


def test_a_redis_without_an_append_only_file_is_advised_against(
    redis_url: str, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run(redis_url, lambda store, _: store.check())
    assert "config set appendonly yes" in caplog.text
    caplog.clear()
    redis_client.config_set("appendonly", "yes")
    try:
        run(redis_url, lambda store, _: store.check())
    finally:
        redis_client.config_set("appendonly", "no")
    assert caplog.text == ""


TTL_MS = 3_600_000
GROUP = PLAN.groups[0]  # the longer of its windows has tiles of 50 s
LONGEST_MS = TTL_MS + 50_000


def sale(at: float) -> Any:
    return Sale(id="1", user="ann", shop="baker", amount=1.0, at=at)


def only(client: redis.Redis, ending: bytes) -> bytes:
    """The one key of the group that ends so."""
    (key,) = [key for key in client.scan_iter() if key.startswith(b"{" + SPACE.encode()) and key.endswith(ending)]
    return bytes(key)


def gone(client: redis.Redis, key: bytes) -> None:
    deadline = time.monotonic() + 10
    while client.exists(key):
        assert time.monotonic() < deadline


def test_states_live_for_a_time_and_fences_for_ever(redis_url: str, redis_client: redis.Redis) -> None:
    """The time begins anew when the longest tiles move on, not at every merge."""

    async def body(store: RedisStore, _: list[int]) -> None:
        await process(store, [batch([sale(1_000.0)])])
        key = only(redis_client, b":e:ann")
        assert TTL_MS < redis_client.pttl(key) <= LONGEST_MS
        redis_client.pexpire(key, 60_000)
        await process(store, [batch([sale(1_049.0)], first_offset=1)])  # the same tile of 50 s
        assert redis_client.pttl(key) <= 60_000
        await process(store, [batch([sale(1_050.0)], first_offset=2)])
        assert TTL_MS < redis_client.pttl(key) <= LONGEST_MS
        fences = [key for key in redis_client.scan_iter() if b":f:" in key]
        assert len(fences) >= PLAN.shards
        assert {redis_client.pttl(fence) for fence in fences} == {-1}

    run(redis_url, body, {group.name: TTL_MS for group in PLAN.groups})


@pytest.mark.parametrize(("ttl_ms", "expires"), [({}, True), ({GROUP.name: None}, False)])
def test_a_state_for_ever_loses_an_earlier_expiry_and_one_of_no_rule_keeps_it(
    redis_url: str, redis_client: redis.Redis, ttl_ms: dict[str, int | None], expires: bool
) -> None:
    async def body(store: RedisStore, _: list[int]) -> None:
        await process(store, [batch([sale(1_000.0)])])
        key = only(redis_client, b":e:ann")
        assert redis_client.pttl(key) == -1
        redis_client.pexpire(key, 60_000)
        await process(store, [batch([sale(1_050.0)], first_offset=1)])
        assert (redis_client.pttl(key) > 0) is expires

    run(redis_url, body, ttl_ms)


def test_an_expired_state_is_served_as_that_of_an_entity_never_seen(redis_url: str, redis_client: redis.Redis) -> None:
    async def body(store: RedisStore, _: list[int]) -> None:
        (never,) = await process(store, [batch([sale(1_000.0)])])
        key = only(redis_client, b":e:ann")
        redis_client.pexpire(key, 1)
        await asyncio.to_thread(gone, redis_client, key)
        assert await store.dump(SPACE) == {}
        place = PLAN.schema.names.index(f"{GROUP.name}.amount.mean.10m")
        (vector,) = await process(store, [batch([sale(1_001.0)], first_offset=1)])
        assert np.isnan(np.frombuffer(vector)[place])
        assert np.frombuffer(vector)[place].tobytes() == np.frombuffer(never)[place].tobytes()
        (vector,) = await process(store, [batch([sale(1_002.0)], first_offset=2)])
        assert np.frombuffer(vector)[place] == pytest.approx(1.0, abs=1e-4)

    run(redis_url, body, {GROUP.name: TTL_MS})
