"""While the store is away: a pipeline that degrades goes on without features and counts every event once all the same."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from featurestore import offline
from featurestore.definitions import Freshness, Mean, On, Raw, Sum
from featurestore.errors import DefinitionError, StoreWentBackError
from featurestore.memory_store import MemoryStore
from featurestore.plan import compile_plan
from featurestore.session import Session
from monitors.metrics import WorkerMetrics
from streams.chunk import TP
from streams.flow import Flow
from streams.publisher import MemoryPublisher
from streams.records import REASONS
from streams.vectors import decode_vectors
from tests.featurestore.world import PLAN, START, Refund, Sale, batch
from tests.streams.records import event_chunk
from tests.streams.test_flow import PIPELINE, World, sales, serving

AFTER = 0.02  # seconds
TP0 = TP("sales", 0)


class Outage(MemoryStore):
    """A store that answers nothing while it is away; what it was asked meanwhile it does when it is back, or never."""

    def __init__(self) -> None:
        super().__init__(PLAN.shards)
        self.there = asyncio.Event()
        self.there.set()
        self.calls = 0

    async def fences(self, namespaces: Sequence[str], source: Any) -> Any:
        await self._answer()
        return await super().fences(namespaces, source)

    async def read(self, source: Any, reads: Sequence[Any]) -> Any:
        await self._answer()
        return await super().read(source, reads)

    async def merge(self, source: Any, merges: Sequence[Any]) -> Any:
        await self._answer()
        return await super().merge(source, merges)

    async def _answer(self) -> None:
        self.calls += 1
        await self.there.wait()


class Degraded(World):
    def __init__(self, max_events: int = 1_000, policy: Any = "degrade") -> None:
        self.pipeline = dataclasses.replace(
            PIPELINE, on_store_unavailable=policy, degrade_after_seconds=AFTER, degrade_max_events=max_events
        )
        self.store, self.publisher = Outage(), MemoryPublisher()
        self.committed: dict[TP, int] = {}
        self.restart()

    def restart(self) -> None:
        self.metrics = WorkerMetrics("world", [group.name for group in PLAN.groups], REASONS)
        self.flow = Flow(
            self.pipeline, PLAN, self.store, self.publisher, self.metrics, serving(), clock=lambda: START + 5
        )  # fmt: skip

    def away(self) -> None:
        self.store.there.clear()

    def back(self) -> None:
        self.store.there.set()

    async def commit(self, *tps: TP, upto: int) -> None:
        self.committed.update(await self.flow.settle(dict.fromkeys(tps, upto)))

    async def settled(self, tp: TP, upto: int) -> None:
        async with asyncio.timeout(5):
            while self.committed.get(tp) != upto:
                await self.commit(tp, upto=upto)
                await asyncio.sleep(0.001)

    def flags(self) -> list[list[str]]:
        return [p.flags for p in self.predictions()]

    async def states_are(self, **events: Sequence[Any]) -> None:
        expected = offline.compute(PLAN, [batch(found) for found in events.values()]).states
        for group in PLAN.groups:
            assert await self.store.dump(PLAN.namespace(group)) == expected.get(group.name, {}), group.name


def run(body: Callable[[Degraded], Awaitable[None]], **options: Any) -> Degraded:
    made: list[Degraded] = []

    async def main() -> None:
        made.append(Degraded(**options))
        await made[0].flow.assign(TP0, None, 0)
        await body(made[0])

    asyncio.run(main())
    return made[0]


def test_events_are_scored_without_features_and_merged_when_the_store_is_back() -> None:
    events = sales(60)

    async def body(world: Degraded) -> None:
        await world.flow(event_chunk(events[:20]))
        await world.commit(TP0, upto=20)
        world.away()
        await world.flow(event_chunk(events[20:40], first=20))
        await world.flow(event_chunk(events[40:50], first=40))
        assert world.flags() == [[]] * 20 + [["degraded"]] * 30
        assert world.value("tidegate_events_total", outcome="degraded") == 30
        assert world.value("tidegate_end_to_end_seconds_count", outcome="degraded") == 30
        assert world.value("tidegate_unmerged_events") == 30
        world.back()
        await world.settled(TP0, 50)
        await world.flow(event_chunk(events[50:], first=50))
        assert world.flags()[50:] == [[]] * 10
        assert world.value("tidegate_unmerged_events") == 0
        await world.states_are(sales=events)

    world = run(body)
    vectors = [row for value in world.publisher.values("world.features") for row in decode_vectors(value).to_pylist()]
    degraded = [row for row in vectors if row["degraded"]]
    assert [row["prediction_id"] for row in degraded] == [f"sales-0-{i}" for i in range(20, 50)]
    own = {"amount", "shop", "at.hour_of_day"}
    for row in degraded:
        assert {name for name, x in zip(PLAN.schema.names, row["vector"], strict=True) if not np.isnan(x)} == own
    after = np.array([row["vector"] for row in vectors[50:]])
    assert after.tobytes() == offline.compute(PLAN, [batch(events)]).served.vectors[50:].tobytes()


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


def test_only_the_first_chunk_waits() -> None:
    """Once the store is known to be away, chunks of every partition go on at once, and nothing more is asked but merges."""

    async def body(world: Degraded) -> None:
        await world.flow.assign(TP("sales", 1), None, 0)
        world.away()
        await world.flow(event_chunk(sales(5)))
        asked = world.store.calls
        async with asyncio.timeout(10 * AFTER):
            for i in range(1, 40):
                await world.flow(event_chunk(sales(5), partition=i % 2, first=5 * (i // 2)))
        assert world.store.calls <= asked + 1
        assert len(world.predictions()) == 200

    run(body)


def test_what_waited_is_merged_in_large_pieces() -> None:
    """A quiet topic has chunks of one event, and an outage may last for thousands of them."""
    events = sales(300)

    async def body(world: Degraded) -> None:
        world.away()
        for i, event in enumerate(events):
            await world.flow(event_chunk([event], first=i))
        world.back()
        asked = world.store.calls
        await world.settled(TP0, 300)
        assert world.store.calls - asked < 10
        await world.states_are(sales=events)

    run(body)


def test_a_chunk_published_as_the_store_went_away_is_no_loss() -> None:
    """Its read was answered, its merge is not: it was scored with all features, waits, and the next ones go on."""
    events = sales(20)

    async def body(world: Degraded) -> None:
        publish = world.publisher.publish

        async def and_gone(batches: Any) -> None:
            await publish(batches)
            world.away()

        world.publisher.publish = and_gone  # type: ignore[method-assign]
        await world.flow(event_chunk(events[:10]))
        await world.flow(event_chunk(events[10:], first=10))
        assert world.flags() == [[]] * 10 + [["degraded"]] * 10
        world.back()
        await world.settled(TP0, 20)
        await world.states_are(sales=events)

    run(body)


def test_beyond_the_bound_it_pauses() -> None:
    events = sales(60)

    async def body(world: Degraded) -> None:
        world.away()
        await world.flow(event_chunk(events[:20]))
        await world.flow(event_chunk(events[20:40], first=20))
        third = asyncio.create_task(world.flow(event_chunk(events[40:], first=40)))
        await asyncio.sleep(5 * AFTER)
        assert not third.done()
        assert len(world.predictions()) == 40  # not even published
        world.back()
        await third
        assert world.flags()[40:] == [[]] * 20
        await world.states_are(sales=events)

    run(body, max_events=45)


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


def test_a_feed_goes_on_too() -> None:
    refunds = [Refund(id=f"r{i}", user=f"u{i % 3}", shop="p0", amount=float(i), at=START + i) for i in range(20)]
    feed = TP("refunds", 0)

    async def body(world: Degraded) -> None:
        await world.flow.assign(feed, None, 0)
        world.away()
        await world.flow(event_chunk(refunds[:10]))
        await world.flow(event_chunk(refunds[10:], first=10))
        assert world.value("tidegate_feed_last_merge_timestamp_seconds", group="refund_by_user") == 0
        world.back()
        await world.settled(feed, 20)
        assert world.value("tidegate_feed_last_merge_timestamp_seconds", group="refund_by_user") == START + 5
        await world.states_are(refunds=refunds)

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


def test_a_freshness_policy_decides_of_events_without_features() -> None:
    """What is missing because the store is away is missing: a default stands in, and what may not be scored is refused."""
    policies = {"amount.mean.1m": Freshness("1m", otherwise=7.0), "amount.sum.1m": Freshness("1m", otherwise="refuse")}
    for freshness in ({"amount.mean.1m": policies["amount.mean.1m"]}, policies):
        on = On(Sale, by="user", fields={"amount": [Mean, Sum]}, windows=["1m"], freshness=freshness)
        plan = compile_plan("world", Sale, [on, Raw("amount")], shards=4)
        session = Session(plan, MemoryStore(4), batch(sales(3)).source)
        session.begin_unread(None)
        served = session.serve(session.unread(batch(sales(3))))
        assert served.vectors[:, 0].tolist() == [7.0] * 3
        assert served.refused.all() == (len(freshness) == 2)
        assert served.states()["missing"] > 0


def test_the_log_says_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def body(world: Degraded) -> None:
        world.away()
        for i in range(5):
            await world.flow(event_chunk(sales(5 * i + 5)[5 * i :], first=5 * i))
        world.back()
        await world.settled(TP0, 25)

    with caplog.at_level(logging.WARNING):
        run(body)
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0].split(";")[0] for line in said] == [
        "The feature store has not answered for 0.02 s",
        "The feature store answers again",
    ]


def test_a_pipeline_that_pauses_waits_and_loses_nothing() -> None:
    events = sales(20)

    async def body(world: Degraded) -> None:
        world.away()
        waiting = asyncio.create_task(world.flow(event_chunk(events)))
        await asyncio.sleep(5 * AFTER)
        assert not waiting.done()
        assert world.publisher.records == []
        world.back()
        await waiting
        assert world.flags() == [[]] * 20
        await world.states_are(sales=events)

    run(body, policy="pause")


@pytest.mark.parametrize(
    "wrong", [{"on_store_unavailable": "degraded"}, {"degrade_after_seconds": 0}, {"degrade_max_events": -1}]
)
def test_a_wrong_declaration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=next(iter(wrong))):
        dataclasses.replace(PIPELINE, **wrong)
