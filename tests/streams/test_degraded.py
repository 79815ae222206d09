"""While the store is away: a pipeline that degrades goes on without features and counts every event once all the same."""

import asyncio
import dataclasses
import logging
from typing import Any

import numpy as np
import pytest

from featurestore import offline
from featurestore.definitions import Freshness, Mean, On, Raw, Sum
from featurestore.errors import DefinitionError
from featurestore.memory_store import MemoryStore
from featurestore.plan import compile_plan
from featurestore.session import Session
from streams.chunk import TP
from streams.vectors import decode_vectors
from tests.featurestore.world import PLAN, START, Refund, Sale, batch
from tests.streams.outages import AFTER, TP0, Degraded, run
from tests.streams.records import event_chunk
from tests.streams.test_flow import PIPELINE, sales


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
        assert world.value("tidegate_store_unavailable") == 1
        world.back()
        await world.settled(TP0, 50)
        await world.flow(event_chunk(events[50:], first=50))
        assert world.flags()[50:] == [[]] * 10
        assert world.value("tidegate_unmerged_events") == 0
        assert world.value("tidegate_store_unavailable") == 0
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


def test_a_worker_without_partitions_says_nothing_of_the_store() -> None:
    """It would not learn that the store is back; who has the partitions now says it."""

    async def body(world: Degraded) -> None:
        assert world.value("tidegate_store_unavailable") == 0
        world.away()
        await world.flow(event_chunk(sales(5)))
        assert world.value("tidegate_store_unavailable") == 1
        world.flow.revoke({TP0})
        assert world.value("tidegate_store_unavailable") == 0

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
        "The feature store has not answered for 0.1 s",
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
