"""The fence protocol under random crashes, zombies and a store that goes back in time, on the real code.

The design's executable model, with Session and MemoryStore in place of its sketch. Checked once everything has come to rest:
states byte-equal to an uninterrupted run; every event predicted; no prediction saw its own event or a later one of its
partition (unless the store went back in time); no commit passed an unpublished or unmerged event.
"""

import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from featurestore import offline
from featurestore.definitions import Count, On
from featurestore.errors import StoreWentBackError
from featurestore.events import Event, Source
from featurestore.memory_store import MemoryStore
from featurestore.plan import compile_plan
from featurestore.session import Session
from tests.featurestore.world import batch

PARTITIONS, EVENTS, USERS = 2, 24, 5


class Ping(Event, topic="pings", key="user", id="user", time="at"):
    user: str
    place: str
    at: float


# Every event of a partition also counts under its partition's own entity, so that a vector tells what it has seen.
PLAN = compile_plan(
    "model",
    Ping,
    [
        On(Ping, by="user", aggregates=[Count], windows=["1h"]),
        On(Ping, by="place", aggregates=[Count], windows=["1h"]),
    ],
    shards=3,
)
PLACE = PLAN.schema.names.index("ping_by_place.count.1h")


def step(coroutine: Any) -> Any:
    """MemoryStore never waits, so a coroutine over it runs to its end at once."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the memory store waited")


class World:
    def __init__(self, dice: random.Random) -> None:
        self.dice, self.store, self.snapshots = dice, MemoryStore(PLAN.shards), []
        self.committed: list[int | None] = [None] * PARTITIONS
        self.generation = [0] * PARTITIONS
        self.predicted: dict[tuple[int, int], list[bool]] = {}
        self.events = [
            [Ping(user=f"u{dice.randrange(USERS)}", place=f"p{p}", at=1_000.0 + o) for o in range(EVENTS)]
            for p in range(PARTITIONS)
        ]
        self.may_roll_back, self.rolled_back = dice.random() < 0.5, False

    def fences(self, partition: int) -> np.ndarray:  # type: ignore[type-arg]
        spaces = [PLAN.namespace(group) for group in PLAN.groups]
        return np.concatenate(step(self.store.fences(spaces, Source("pings", partition))))


def worker(world: World, partition: int, generation: int) -> Iterator[None]:
    """One assignment of one partition; yields where anything may happen to it."""
    session = Session(PLAN, world.store, Source("pings", partition))
    committed = world.committed[partition]
    start = step(session.begin(committed, EVENTS))
    position = start if start is not None else committed or 0
    yield
    while position < EVENTS:
        last = min(EVENTS, position + world.dice.randint(1, 5)) - 1
        chunk = batch(world.events[partition][position : last + 1], partition, position)
        view = step(session.read(chunk))
        yield
        served = session.serve(view)
        for i in np.flatnonzero(view.fresh).tolist():  # publish, acknowledged
            offset = int(chunk.offsets[i])
            world.predicted.setdefault((partition, offset), []).append(served.vectors[i, PLACE] > offset)
            if world.dice.random() < 0.1:
                yield
        yield
        for _ in merge_by_shard(session, view, last):
            yield
        yield
        step(session.settle(last + 1))
        if world.generation[partition] != generation:  # Kafka refuses a zombie's commit
            return
        assert all((partition, o) in world.predicted for o in range(last + 1)), "committed past an unpublished event"
        assert world.may_roll_back or world.fences(partition).min() >= last, "committed past an unmerged event"
        world.committed[partition] = max(world.committed[partition] or 0, last + 1)
        position = last + 1
        yield


def merge_by_shard(session: Session, view: Any, last: int) -> Iterator[None]:
    """The session's merge, interrupted after each shard: what a crash between two shards leaves behind."""
    gate = Gate(session._store)
    session._store = gate
    coroutine = session.merge(view, last)
    try:
        while True:
            coroutine.send(None)
            yield
    except StopIteration:
        pass
    finally:
        session._store = gate.store
        coroutine.close()


class Pause:
    def __await__(self) -> Any:
        yield


class Gate:
    """Lets one shard of a merge through at a time."""

    def __init__(self, store: Any) -> None:
        self.store = store

    async def merge(self, source: Source, merges: list[Any]) -> list[Any]:
        found = [np.full(PLAN.shards, -2, dtype=np.int64) for _ in merges]
        for merge, fences in zip(merges, found, strict=True):
            for shard in merge.shards:
                one = copy.copy(merge)
                object.__setattr__(one, "shards", [shard])
                (answer,) = await self.store.merge(source, [one])
                fences[shard] = answer[shard]
                await Pause()
        return found


def run(seed: int, faults: int) -> tuple[bool, int, int]:
    dice = random.Random(seed)
    world = World(dice)
    live: list[tuple[int, Iterator[None]]] = []

    def assign(partition: int) -> None:
        world.generation[partition] += 1
        live.append((partition, worker(world, partition, world.generation[partition])))

    for p in range(PARTITIONS):
        assign(p)
    for steps in range(100 * faults):
        if steps < faults:
            inject(world, live, assign)
        if not live:
            stale = [p for p in range(PARTITIONS) if world.fences(p).min() < EVENTS - 1 or (world.committed[p] or 0) < EVENTS]
            if not stale and steps >= faults:
                break
            for p in stale or range(PARTITIONS):
                assign(p)
        at = dice.randrange(len(live))
        try:
            next(live[at][1])
        except (StopIteration, StoreWentBackError):
            live.pop(at)
    else:
        raise AssertionError(f"seed {seed}: never comes to rest")
    return check(world, seed)


def inject(world: World, live: list[tuple[int, Iterator[None]]], assign: Any) -> None:
    dice, roll = world.dice, world.dice.random()
    if roll < 0.04:
        assign(dice.randrange(PARTITIONS))  # a rebalance: the old owner goes on as a zombie
    elif roll < 0.08 and live:
        live.pop(dice.randrange(len(live)))  # kill -9
    elif roll < 0.10:
        world.snapshots.append(copy.deepcopy((world.store._states, world.store._fences)))
    elif roll < 0.11 and world.snapshots and world.may_roll_back:
        world.store._states, world.store._fences = copy.deepcopy(dice.choice(world.snapshots))
        world.rolled_back = True


def check(world: World, seed: int) -> tuple[bool, int, int]:
    expected = offline.compute(PLAN, [batch(events, p) for p, events in enumerate(world.events)]).states
    for group in PLAN.groups:
        assert step(world.store.dump(PLAN.namespace(group))) == expected[group.name], f"seed {seed}: {group.name} differs"
    missing = PARTITIONS * EVENTS - len(world.predicted)
    assert not missing, f"seed {seed}: {missing} events never predicted"
    saw_future = sum(any(seen) for seen in world.predicted.values())
    assert world.rolled_back or not saw_future, f"seed {seed}: {saw_future} predictions saw their own future"
    return world.rolled_back, saw_future, sum(len(seen) > 1 for seen in world.predicted.values())


@pytest.mark.parametrize("block", range(4))
def test_the_protocol_holds_under_random_faults(block: int) -> None:
    results = [run(block * 1000 + i, faults=300) for i in range(60)]
    assert any(rolled_back for rolled_back, _, _ in results), "no run went back in time: the test tests nothing"
    assert any(not rolled_back for rolled_back, _, _ in results)
    assert sum(twice for _, _, twice in results) > 0, "no event was predicted twice: no crash fell between publish and merge"
