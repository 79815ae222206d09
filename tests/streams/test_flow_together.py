"""Chunks of several partitions computed as one: what comes out is what comes out of one after the other."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from featurestore import offline
from featurestore.events import Event
from featurestore.store import Store
from streams.chunk import TP, Chunk
from streams.errors import PublishError
from streams.publisher import MemoryPublisher
from tests.featurestore.world import PLAN, START, Refund, batch
from tests.streams.records import RawRecord, event_chunk
from tests.streams.test_flow import World, sales, serving

PARTITIONS = 3


class Together(World):
    """Hands chunks to the flow together; `World` hands them over one by one."""

    async def feed(self, *chunks: Chunk) -> None:
        for one in chunks:
            if one.tp not in self.flow._sessions:
                await self.flow.assign(one.tp, None, None)
        await self.flow(*chunks)
        for one in chunks:
            await self.flow.settle({one.tp: one.last_offset + 1})


def spoilt(chunk: Chunk, dice: random.Random) -> Chunk:
    """The chunk with some records that are no events."""
    records = [
        RawRecord(dice.choice([b"{", None]), record.offset, b"k", record.timestamp) if dice.random() < 0.2 else record
        for record in chunk.records
    ]
    return Chunk(chunk.topic, chunk.partition, records)


def published(world: World) -> dict[str, list[Any]]:
    """Vectors by prediction id; predictions and letters as they were published."""
    return {
        "vectors": sorted(world.vectors().items()),
        "predictions": [bytes(value) for value in world.publisher.values("world.predictions")],
        "letters": [bytes(value) for value in world.publisher.values("world.dead-letters")],
    }


def dumps(store: Store) -> dict[str, dict[bytes, bytes]]:
    async def all_groups() -> dict[str, dict[bytes, bytes]]:
        return {group.name: await store.dump(PLAN.namespace(group)) for group in PLAN.groups}

    return asyncio.run(all_groups())


@pytest.mark.parametrize("seed", range(20))
def test_together_is_as_one_after_the_other(seed: int) -> None:
    dice = random.Random(seed)
    events = {p: sales(30, first=7.0 * p) for p in range(PARTITIONS)}
    together, apart = Together(serving()), World(serving())
    position = dict.fromkeys(events, 0)
    while left := [p for p, at in position.items() if at < 30]:
        chunks = []
        for p in dice.sample(left, dice.randint(1, len(left))):
            end = min(30, position[p] + dice.randint(1, 12))
            chunks.append(spoilt(event_chunk(events[p][position[p] : end], p, position[p]), dice))
            position[p] = end
        together.run(*chunks)
        apart.run(*chunks)
    assert published(together) == published(apart)
    assert len(together.letters()) > 3
    assert dumps(together.store) == dumps(apart.store)


def test_each_event_keeps_its_position() -> None:
    world = Together(serving())
    world.run(event_chunk(sales(2), 2, first=5), event_chunk(sales(1), 0), event_chunk(sales(2), 1, first=9))
    assert [p.prediction_id for p in world.predictions()] == ["sales-2-5", "sales-2-6", "sales-0-0", "sales-1-9", "sales-1-10"]
    assert world.value("tidegate_chunk_events_count", topic="sales") == 1
    assert world.value("tidegate_chunk_events_sum", topic="sales") == 5


def test_what_one_partition_predicted_before_is_not_predicted_again() -> None:
    """A crash between merge and commit of one of them: its next owner gets its records once more, others' for the first time."""
    one, two = sales(12), sales(20, first=3.0)
    world = Together(serving())
    world.run(event_chunk(one[:8], 0))

    async def again() -> None:
        world.flow.revoke([TP("sales", 0)])
        for partition in range(2):
            await world.flow.assign(TP("sales", partition), None, None)
        await world.flow(event_chunk(two, 1), event_chunk(one, 0))

    asyncio.run(again())
    ids = [p.prediction_id for p in world.predictions()]
    assert ids == [f"sales-0-{i}" for i in range(8)] + [f"sales-1-{i}" for i in range(20)] + [
        f"sales-0-{i}" for i in range(8, 12)
    ]
    expected = offline.compute(PLAN, [batch(one), batch(two, 1)]).states
    assert {name: dump for name, dump in dumps(world.store).items() if dump} == {k: v for k, v in expected.items() if v}


def test_feeds_are_merged_together() -> None:
    world = Together(serving())
    refunds: list[Sequence[Event]] = [
        [Refund(id="r", user=f"u{i}", shop="p0", amount=5.0, at=START + i) for i in range(p, 10)] for p in range(PARTITIONS)
    ]
    world.run(*(event_chunk(events, p) for p, events in enumerate(refunds)))
    expected = offline.compute(PLAN, [batch(events, p) for p, events in enumerate(refunds)]).states
    assert {name: dump for name, dump in dumps(world.store).items() if dump} == {k: v for k, v in expected.items() if v}
    assert world.predictions() == []


def test_when_the_broker_refuses_one_record_nothing_of_any_partition_is_merged() -> None:
    world = Together(serving())

    class Refusing(MemoryPublisher):
        async def publish(self, batches: Any) -> None:
            raise PublishError("world.predictions", "no")

    world.flow._publisher = Refusing()
    with pytest.raises(PublishError):
        world.run(event_chunk(sales(5), 0), event_chunk(sales(5), 1))
    assert not any(dumps(world.store).values())
