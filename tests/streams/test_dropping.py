"""A drop beside workers that merge: whatever they do meanwhile, every event is counted once afterwards."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import redis

from featurestore import offline
from featurestore.definitions import Count, On, Sum
from featurestore.errors import NamespaceError, StoreWentBackError
from featurestore.events import EventBatch, Source
from featurestore.namespaces import Namespaces
from featurestore.plan import compile_plan
from featurestore.redis_client import Client, connect
from featurestore.redis_store import RedisStore
from featurestore.session import Session
from streams.dropping import drop, refuse_used
from streams.topic_facts import TopicFacts
from tests.featurestore.world import START, Sale, batch

pytestmark = pytest.mark.integration
PLAN = compile_plan("till", Sale, [On(Sale, by="user", fields={"amount": [Sum]}, aggregates=[Count], windows=["10m"])], shards=4)
NAME = PLAN.namespace(PLAN.groups[0])
CHUNK, CHUNKS = 20, 12


def chunk(partition: int, number: int) -> EventBatch:
    """Chunk by chunk new users, so that new states appear; some old ones, whose states grow."""
    first = number * CHUNK
    users = [f"u{partition}-{i // 2 if i % 5 else i % 7}" for i in range(first, first + CHUNK)]
    events = [Sale(id=str(i), user=user, shop="s", amount=1.0, at=START + i) for i, user in enumerate(users, first)]
    return batch(events, partition, first)


class Worker:
    """Takes a partition's chunks one by one; stops for good where a real one would."""

    def __init__(self, store: RedisStore, partition: int) -> None:
        self.session, self.partition, self.next, self.stopped = Session(PLAN, store, Source("sales", partition)), partition, 0, ""

    async def begin(self) -> None:
        start = await self.session.begin(self.next * CHUNK)
        self.next = self.next if start is None else start // CHUNK

    async def step(self) -> None:
        if self.stopped or self.next == CHUNKS:
            return
        found = chunk(self.partition, self.next)
        try:
            await self.session.merge(await self.session.read(found), int(found.offsets[-1]))
        except StoreWentBackError as error:
            self.stopped = str(error)
        self.next += 1


class Watched:
    """A client whose user is not alone: others act each time a walk over the keys has come to its end."""

    def __init__(self, client: Client, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._client, self._meanwhile = client, meanwhile

    async def scan(self, match: bytes) -> AsyncIterator[bytes]:
        for key in [key async for key in self._client.scan(match)]:
            yield key
        await self._meanwhile()

    async def execute(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        return await self._client.execute(commands)


def beside(redis_url: str, body: Callable[[RedisStore, Client], Awaitable[None]]) -> None:
    async def whole() -> None:
        store, client = RedisStore(redis_url, PLAN.shards), connect(redis_url)
        try:
            await body(store, client)
        finally:
            await store.close()
            await client.aclose()

    asyncio.run(whole())


async def all_counted_once(store: RedisStore) -> None:
    """New workers recover from the fences there are, up to the last chunk."""
    for partition in (0, 1):
        worker = Worker(store, partition)
        worker.next = CHUNKS
        await worker.begin()
        while worker.next < CHUNKS:
            await worker.step()
        assert not worker.stopped
    chunks = [chunk(partition, number) for number in range(CHUNKS) for partition in (0, 1)]
    assert await store.dump(NAME) == offline.compute(PLAN, chunks).states[PLAN.groups[0].name]


def test_a_worker_that_merges_meanwhile_makes_nothing_count_twice(redis_url: str, redis_client: redis.Redis) -> None:
    """One that has counted for long, whose fences are known; and one whose partition is new, which finds no fence as expected."""

    async def body(store: RedisStore, client: Client) -> None:
        old, new = Worker(store, 0), Worker(store, 1)
        await old.begin()
        await new.begin()
        for _ in range(4):
            await old.step()

        async def go_on() -> None:
            await old.step()
            await new.step()

        await drop(Watched(client, go_on), NAME)  # type: ignore[arg-type]
        for _ in range(2):
            await go_on()
        assert "the store lost data" in old.stopped
        await all_counted_once(store)

    beside(redis_url, body)


@pytest.mark.parametrize("entered", [True, False])
def test_nobody_begins_meanwhile(redis_url: str, redis_client: redis.Redis, entered: bool) -> None:
    """Neither where the namespace is entered, nor where it has keys and no entry."""
    refused: list[str] = []

    async def body(store: RedisStore, client: Client) -> None:
        namespaces, worker = Namespaces(client), Worker(store, 0)
        if entered:
            await namespaces.register(PLAN, {}, START)
        await worker.begin()
        await worker.step()

        async def enter() -> None:
            with pytest.raises(NamespaceError, match=f"{NAME} is being dropped, and the drop did not end") as refusal:
                await namespaces.register(PLAN, {}, START)
            refused.append(str(refusal.value))

        await drop(Watched(client, enter), NAME)  # type: ignore[arg-type]
        assert refused
        assert not await namespaces.all()
        await namespaces.register(PLAN, {}, START)

    beside(redis_url, body)
    assert [key for key in redis_client.keys("*") if b":f:" in key or b":e:" in key] == []


def test_what_a_backfill_fills_is_dropped_by_force_alone(redis_url: str, redis_client: redis.Redis) -> None:
    """Kafka is not asked for members of a group: a backfill is in none."""

    async def body(_: RedisStore, client: Client) -> None:
        nowhere = TopicFacts("127.0.0.1:1")
        await refuse_used(client, NAME, nowhere)
        await Namespaces(client).fill([NAME], "till")
        with pytest.raises(NamespaceError, match=f"{NAME} is being filled by tidegate backfill"):
            await refuse_used(client, NAME, nowhere)

    beside(redis_url, body)
