"""What is committed, and what a crash, a hand-over or a lost store leave, while a pipeline goes on without its store."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from featurestore.errors import StoreWentBackError
from streams.chunk import TP
from tests.streams.outages import AFTER, TP0, Degraded, run
from tests.streams.records import event_chunk
from tests.streams.test_flow import sales


def test_nothing_is_committed_that_is_not_merged() -> None:
    async def body(world: Degraded) -> None:
        await world.flow(event_chunk(sales(20)))
        world.away()
        await world.flow(event_chunk(sales(40)[20:], first=20))
        await world.commit(TP0, upto=40)
        assert world.committed == {}
        world.back()
        await world.settled(TP0, 40)

    run(body)


def test_a_queue_that_is_half_merged_holds_its_commits_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is back and answers everything, but the second of two kept chunks is not merged yet."""
    events = sales(40)
    monkeypatch.setattr("streams.degraded.MERGE_EVENTS", 20)

    async def body(world: Degraded) -> None:
        gate, merge = asyncio.Semaphore(0), world.store.merge

        async def gated(source: Any, merges: Sequence[Any]) -> Any:
            if any(len(one.entities) for one in merges):
                await gate.acquire()
            return await merge(source, merges)

        world.store.merge = gated  # type: ignore[method-assign]
        world.away()
        await world.flow(event_chunk(events[:20]))
        await world.flow(event_chunk(events[20:], first=20))
        world.back()
        gate.release()
        await world.settled(TP0, 20)
        for _ in range(20):
            await world.commit(TP0, upto=40)
            await asyncio.sleep(0.001)
        assert world.committed == {TP0: 20}
        gate.release()
        await world.settled(TP0, 40)
        await world.states_are(sales=events)

    run(body)


def test_a_crash_while_degraded_counts_nothing_twice() -> None:
    """The next worker reads the events again and predicts them again under the same ids."""
    events = sales(30)

    async def body(world: Degraded) -> None:
        await world.flow(event_chunk(events[:10]))
        await world.commit(TP0, upto=10)
        world.away()
        await world.flow(event_chunk(events[10:20], first=10))
        world.flow.revoke([TP0])  # kill -9: its tasks are no more
        world.restart()
        world.back()
        await world.flow.assign(TP0, world.committed[TP0], 30)
        await world.flow(event_chunk(events[10:], first=10))
        ids = [p.prediction_id for p in world.predictions()]
        assert ids[10:] == [f"sales-0-{i}" for i in [*range(10, 20), *range(10, 30)]]
        await world.settled(TP0, 30)
        await world.states_are(sales=events)

    run(body)


def test_an_assignment_while_the_store_is_away_goes_on_degraded() -> None:
    """Its fences are read later: what another has merged meanwhile is found then, and not merged again."""
    events = sales(40)

    async def body(world: Degraded) -> None:
        await world.flow(event_chunk(events[:20]))
        await world.commit(TP0, upto=10)  # the group's commit of 10..19 was lost with the worker
        world.restart()
        world.away()
        assert await world.flow.assign(TP0, 10, 40) is None
        await world.flow(event_chunk(events[10:30], first=10))
        assert world.flags()[20:] == [["degraded"]] * 20
        await world.commit(TP0, upto=30)
        assert world.committed == {TP0: 10}
        world.back()
        await world.settled(TP0, 30)
        await world.flow(event_chunk(events[30:], first=30))
        assert world.flags()[40:] == [[]] * 10
        await world.states_are(sales=events)

    run(body)


def test_a_store_that_comes_back_without_what_it_had_stops_the_worker() -> None:
    async def body(world: Degraded) -> None:
        await world.flow(event_chunk(sales(20)))
        world.away()
        await world.flow(event_chunk(sales(30)[20:], first=20))
        world.store._states.clear()
        world.store._fences.clear()
        world.back()
        with pytest.raises(StoreWentBackError, match="the store lost data"):
            await world.settled(TP0, 30)
        with pytest.raises(StoreWentBackError):
            await world.flow(event_chunk(sales(40)[30:], first=30))

    run(body)


def test_so_does_one_that_lost_data_before_a_blind_assignment() -> None:
    async def body(world: Degraded) -> None:
        world.away()
        await world.flow.assign(TP0, 20, 30)
        await world.flow(event_chunk(sales(30)[20:], first=20))
        world.back()
        with pytest.raises(StoreWentBackError, match="came back without events of sales/0 from 0"):
            await world.settled(TP0, 30)

    run(body)


def test_an_idle_partitions_commit_does_not_hold_the_others_up() -> None:
    async def body(world: Degraded) -> None:
        partitions = [TP("sales", i) for i in range(1, 9)]
        for tp in partitions:
            await world.flow.assign(tp, None, 0)
        world.away()
        async with asyncio.timeout(4 * AFTER):
            await world.commit(*partitions, upto=1)
        assert world.committed == {}

    run(body)
