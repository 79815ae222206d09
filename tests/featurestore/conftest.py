"""Stores of every kind, empty."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from featurestore.memory_store import MemoryStore
from featurestore.redis_store import RedisStore
from featurestore.store import Store
from tests.featurestore.stores import REDISES, Run, emptied
from tests.featurestore.world import PLAN


@pytest.fixture
def dropped() -> list[tuple[str, int]]:
    """What the store under test said of events that came too late: groups and numbers."""
    return []


@pytest.fixture(params=["memory", *(pytest.param(name, marks=pytest.mark.integration) for name in REDISES)])
def run(request: pytest.FixtureRequest, dropped: list[tuple[str, int]]) -> Run:
    """Runs a coroutine function on an empty store of each kind."""
    server = request.getfixturevalue(REDISES[request.param]) if request.param in REDISES else None

    def runner(body: Callable[[Store], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            def on_dropped(group: str, events: int) -> None:
                dropped.append((group, events))

            store: Store = MemoryStore(PLAN.shards, on_dropped)
            if server:
                store = RedisStore(emptied(server), PLAN.shards, on_dropped=on_dropped)
            try:
                return await body(store)
            finally:
                await store.close()

        return asyncio.run(main())

    return runner
