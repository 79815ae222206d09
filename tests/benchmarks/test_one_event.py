"""The peers' way to the feature store, one event at a time, serves and keeps what a Session does with a chunk."""

import asyncio

import numpy as np
import pytest
import redis

from benchmarks.peers.environment import fingerprint, shared_versions
from benchmarks.peers.one_event import Command, OneEvent, Position, Result
from benchmarks.workload import PLAN, SOURCE
from examples.payments.events import Payment
from examples.payments.generate import Stream, payments
from featurestore.events import EventBatch, Floats, Source
from featurestore.redis_store import RedisStore
from featurestore.session import Session

# Two seconds between payments: hours in all, so that every window's ring turns.
EVENTS = [event for block in Stream(4_000, rate=0.5, seed=4).blocks() for event in payments(block)]
States = list[dict[bytes, bytes]]


def test_the_product_sets_the_versions_that_scores_depend_on() -> None:
    found = shared_versions()
    assert {"lightgbm", "numpy", "numba", "redis", "hiredis", "msgspec"} <= set(found)
    assert "confluent-kafka" not in found


def test_an_environment_is_made_anew_when_a_text_changes() -> None:
    assert fingerprint("a", "b") == fingerprint("a", "b")
    assert fingerprint("a", "b") != fingerprint("ab", "")


@pytest.mark.integration
def test_it_serves_and_keeps_what_a_session_does(redis_url: str, redis_client: redis.Redis) -> None:
    """Vectors are equal to the last bit, and so are the bytes in Redis."""
    vectors, states = asyncio.run(_in_one_chunk(redis_url))
    redis_client.flushdb()
    results = [_one(redis_client, event, offset) for offset, event in enumerate(EVENTS)]
    assert np.concatenate([result.served.vectors for result in results]).tobytes() == vectors.tobytes()
    assert asyncio.run(_states(RedisStore(redis_url, PLAN.shards))) == states


@pytest.mark.integration
def test_a_replayed_event_is_not_counted_again(redis_url: str, redis_client: redis.Redis) -> None:
    assert asyncio.run(_in_one_chunk(redis_url))[1]  # which loads the merge script, too
    redis_client.flushdb()
    first, again = (_one(redis_client, EVENTS[0], offset=7) for _ in range(2))
    assert (len(first.merges), again.merges) == (len(PLAN.groups), [])


def _one(client: redis.Redis, event: Payment, offset: int) -> Result:
    """One event, looked up and merged."""
    store, position = OneEvent(PLAN), Position(SOURCE, 0, offset, 2e9)
    parts = store.parts(event, position)
    result = store.serve(event, position, parts, _sent(client, store.reads(parts)))
    _sent(client, result.merges)
    return result


def _sent(client: redis.Redis, commands: list[Command]) -> list[list[bytes | None]]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    answers: list[list[bytes | None]] = pipeline.execute()
    return answers


async def _in_one_chunk(redis_url: str) -> tuple[Floats, States]:
    """The vectors that a Session serves, and what it leaves in Redis."""
    store = RedisStore(redis_url, PLAN.shards)
    session = Session(PLAN, store, Source(SOURCE, 0))
    await session.begin(None)
    view = await session.read(_batch())
    vectors = session.serve(view).vectors
    await session.merge(view, len(EVENTS) - 1)
    return vectors, await _states(store)


async def _states(store: RedisStore) -> States:
    states = [await store.dump(PLAN.namespace(group)) for group in PLAN.groups]
    await store.close()
    return states


def _batch() -> EventBatch:
    n = len(EVENTS)
    times = np.array([event.at for event in EVENTS])
    return EventBatch(Payment, Source(SOURCE, 0), np.arange(n), np.full(n, 2e9), times, [None] * n, list(EVENTS))
