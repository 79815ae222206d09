"""How a partition is begun: what its fences, its commit and its log's end say of one another."""

import asyncio

import pytest

from featurestore.errors import FenceBeyondLogError
from featurestore.events import Source
from featurestore.memory_store import MemoryStore
from featurestore.session import Session
from streams.topic_facts import group_of
from tests.featurestore.world import PLAN

SOURCE = Source("sales", 3)
NAMES = [PLAN.namespace(group) for group in PLAN.written_by(SOURCE.topic)]


def begun(committed: int | None, log_end: int | None, counted_to: int | None = None) -> tuple[Session, int | None]:
    """A session after its begin, and where it starts; the store has counted the offsets up to `counted_to`."""

    async def whole() -> tuple[Session, int | None]:
        store = MemoryStore(PLAN.shards)
        session = Session(PLAN, store, SOURCE)
        if counted_to is not None:
            await session.begin(None)
            await session.settle(counted_to + 1)
            session = Session(PLAN, store, SOURCE)
        return session, await session.begin(committed, log_end)

    return asyncio.run(whole())


def beyond(committed: int | None, log_end: int, counted_to: int | None = None) -> str:
    """What is said to that, which must be refused."""
    with pytest.raises(FenceBeyondLogError) as refused:
        begun(committed, log_end, counted_to)
    return str(refused.value)


def test_a_fence_past_the_logs_end_is_refused() -> None:
    """The log is another one, and its events would count as seen."""
    assert begun(10, 10, counted_to=9)[1] is None
    assert "sales/3 ends at 9, but the feature store counted events up to 9: the topic was created anew" in beyond(9, 9, 9)


def test_a_commit_past_the_logs_end_is_refused() -> None:
    """Also without fences, as after `features drop`: the new log's events would never be predicted, nor anything committed."""
    assert begun(10, 10, counted_to=None)[1] == 0
    said = beyond(50, 10)
    assert "sales/3 ends at 10, but the workers' consumer group committed 50: the topic was created anew" in said
    assert "committed 50 (moved there by hand? Move it back to 10)" in beyond(50, 10, counted_to=9)


def test_an_end_that_nobody_knows_refuses_nothing() -> None:
    assert begun(50, None)[1] == 0
    assert begun(None, None)[1] is None


@pytest.mark.parametrize("counted_to", [None, 60])
def test_the_remedy_is_for_fences_and_commits_alike(counted_to: int | None) -> None:
    said = beyond(50, 10, counted_to)
    assert f"tidegate features drop {' '.join(NAMES)}" in said
    assert "kafka-consumer-groups.sh --bootstrap-server ... --delete-offsets" in said
    assert said.endswith(f" --group {group_of(PLAN.pipeline)} --topic sales")
