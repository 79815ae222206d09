"""The fence protocol with workers that degrade: the real flow under random outages, crashes, zombies and a store that goes back.

As tests/featurestore/test_protocol.py, one level up: flows with their queues on an event loop whose clock jumps from timer to
timer, so that a run is a function of its seed. A request that was sent is executed even if its worker has died meanwhile.
"""

import asyncio
import copy
import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from featurestore import offline
from featurestore.errors import StoreWentBackError
from featurestore.memory_store import MemoryStore
from featurestore.store import UNREAD
from monitors.metrics import WorkerMetrics
from scorer.pipeline import Label, Pipeline
from streams import degraded
from streams.chunk import TP, Chunk
from streams.flow import Flow
from streams.publisher import Outgoing
from streams.records import REASONS
from streams.vectors import decode_vectors
from tests.featurestore.test_protocol import PLACE, PLAN, Ping
from tests.featurestore.world import batch
from tests.streams.records import event_chunk

PARTITIONS, EVENTS, USERS = 2, 24, 5
FAULTS_UNTIL, END = 60.0, 600.0  # seconds of the run's own clock
PIPELINE = Pipeline(
    name="model", owner="o", team="t", task="binary", score=Ping, features=[], model="m", shards=PLAN.shards,
    label=Label(Ping, id="user", value=lambda ping: True, maturity="1h"),
    on_store_unavailable="degrade", degrade_after_seconds=0.5,
)  # fmt: skip


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its clock goes to the next timer at once: waiting costs nothing, and the order of all that happens is fixed."""

    def __init__(self) -> None:
        super().__init__()
        self._now, select = 0.0, self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> Any:
            assert timeout is not None, "everything waits for something that will not happen"
            self._now += max(timeout, 0.0)
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now


class World:
    def __init__(self, seed: int) -> None:
        self.dice, self.store, self.there = random.Random(seed), MemoryStore(PLAN.shards), asyncio.Event()
        self.there.set()
        self.snapshots: list[Any] = []
        self.committed: list[int | None] = [None] * PARTITIONS
        self.generation = [0] * PARTITIONS
        self.predicted: dict[tuple[int, int], list[bool]] = {}
        self.events = [
            [Ping(user=f"u{self.dice.randrange(USERS)}", place=f"p{p}", at=1_000.0 + o) for o in range(EVENTS)]
            for p in range(PARTITIONS)
        ]
        self.may_roll_back, self.rolled_back = self.dice.random() < 0.3, False
        self.degraded = self.killed_with_kept = 0
        self.requests: set[asyncio.Task[Any]] = set()

    async def pause(self, longest: float = 0.05) -> None:
        await asyncio.sleep(self.dice.random() * longest)

    async def answer(self, call: Callable[[], Any]) -> Any:
        """A request on its way: it takes a while, it waits for the store, and it outlives who sent it."""

        async def execute() -> Any:
            await self.pause()
            await self.there.wait()
            found = await call()
            await self.pause()
            await self.there.wait()
            return found

        request = asyncio.get_running_loop().create_task(execute())
        self.requests.add(request)
        request.add_done_callback(self.requests.discard)
        return await asyncio.shield(request)

    def fences(self, partition: int) -> Any:
        return np.concatenate([self.store._fence(PLAN.namespace(group), _source(partition)) for group in PLAN.groups])


def _source(partition: int) -> Any:
    return batch([Ping(user="u", place="p", at=1.0)], partition).source


class Wire:
    """The store as a worker meets it; a merge goes shard by shard."""

    def __init__(self, world: World) -> None:
        self._world, self._store = world, world.store

    async def fences(self, namespaces: Sequence[str], source: Any) -> Any:
        return await self._world.answer(lambda: self._store.fences(namespaces, source))

    async def read(self, sources: Any, reads: Sequence[Any]) -> Any:
        return await self._world.answer(lambda: self._store.read(sources, reads))

    async def merge(self, sources: Any, merges: Sequence[Any]) -> Any:
        found = [np.full((len(sources), PLAN.shards), UNREAD, dtype=np.int64) for _ in merges]
        for merge, fences in zip(merges, found, strict=True):
            for shard in merge.shards:
                one = dataclasses.replace(merge, shards=[shard])
                (answer,) = await self._world.answer(lambda one=one: self._store.merge(sources, [one]))
                fences[:, shard] = answer[:, shard]
        return found


class Broker:
    """Acknowledges after a while, perhaps when the worker is no more."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def publish(self, batches: Sequence[Outgoing]) -> None:
        await self._world.pause()
        for value in (value for outgoing in batches if outgoing.topic == "model.features" for value in outgoing.values):
            for row in decode_vectors(value).to_pylist():
                _, partition, offset = row["prediction_id"].split("-")
                place = row["vector"][PLACE]
                self._world.degraded += row["degraded"]
                self._world.predicted.setdefault((int(partition), int(offset)), []).append(place > int(offset))
        await self._world.pause()

    async def close(self) -> None: ...


class Worker:
    """One assignment of one partition: its chunks one after the other, its commits beside them."""

    def __init__(self, world: World, partition: int) -> None:
        world.generation[partition] += 1
        self.world, self.partition, self.generation = world, partition, world.generation[partition]
        self.tp, self.done = TP("pings", partition), 0
        pipeline = dataclasses.replace(PIPELINE, degrade_max_events=world.dice.choice([0, 6, 1_000, 1_000]))
        metrics = WorkerMetrics("model", [group.name for group in PLAN.groups], REASONS)
        self.flow = Flow(pipeline, PLAN, Wire(world), Broker(world), metrics, None)  # type: ignore[arg-type]
        self.task = asyncio.get_running_loop().create_task(self.run())

    @property
    def kept(self) -> int:
        return self.flow._policy._held  # type: ignore[attr-defined, no-any-return]

    async def run(self) -> None:
        try:
            committed = self.world.committed[self.partition]
            start = await self.flow.assign(self.tp, committed, EVENTS)
            async with asyncio.TaskGroup() as group:
                first = start if start is not None else committed or 0
                group.create_task(self.chunks(first))
                if first < EVENTS:
                    group.create_task(self.commits())
        except* StoreWentBackError:
            assert self.world.rolled_back, "the store never went back"
        finally:
            self.flow.revoke([self.tp])

    async def chunks(self, position: int) -> None:
        while position < EVENTS:
            await self.world.pause(1.0)
            last = min(EVENTS, position + self.world.dice.randint(1, 5)) - 1
            chunk: Chunk = event_chunk(self.world.events[self.partition][position : last + 1], self.partition, position)
            await self.flow(chunk)
            self.done = position = last + 1

    async def commits(self) -> None:
        while self.world.generation[self.partition] == self.generation:  # Kafka refuses a zombie's commit
            await self.world.pause(0.1)
            allowed = await self.flow.settle({self.tp: self.done} if self.done else {})
            if self.tp in allowed and self.world.generation[self.partition] == self.generation:
                self.commit(allowed[self.tp])
            if allowed.get(self.tp) == EVENTS:
                return  # nothing will come; what the store loses from now on the next owner finds

    def commit(self, offset: int) -> None:
        world, partition = self.world, self.partition
        if offset <= (world.committed[partition] or 0):
            return
        assert all((partition, o) in world.predicted for o in range(offset)), "committed past an unpublished event"
        assert world.may_roll_back or world.fences(partition).min() >= offset - 1, "committed past an unmerged event"
        world.committed[partition] = offset

    def kill(self) -> None:
        self.world.killed_with_kept += self.kept > 0
        self.task.cancel()


async def outages(world: World) -> None:
    while True:
        await world.pause(10.0)
        world.there.clear()
        await world.pause(6.0)
        if world.may_roll_back and world.snapshots and world.dice.random() < 0.3:
            world.store._states, world.store._fences = copy.deepcopy(world.dice.choice(world.snapshots))
            world.rolled_back = True
        world.there.set()


async def faults(world: World, live: list[Worker]) -> None:
    while True:
        await world.pause(4.0)
        roll = world.dice.random()
        if roll < 0.3:
            live.append(Worker(world, world.dice.randrange(PARTITIONS)))  # a rebalance: the old owner goes on as a zombie
        elif roll < 0.7 and live:
            live.pop(world.dice.randrange(len(live))).kill()
        else:
            world.snapshots.append(copy.deepcopy((world.store._states, world.store._fences)))


async def play(seed: int) -> World:
    world = World(seed)
    loop = asyncio.get_running_loop()
    live = [Worker(world, p) for p in range(PARTITIONS)]
    started = list(live)
    trouble = [loop.create_task(outages(world)), loop.create_task(faults(world, live))]
    while loop.time() < END:
        await asyncio.sleep(0.5)
        started += [worker for worker in live if worker not in started]
        if loop.time() > FAULTS_UNTIL and trouble:
            for task in trouble:
                task.cancel()
            trouble.clear()
            world.there.set()
        for worker in [worker for worker in live if worker.task.done()]:
            worker.task.result()
            live.remove(worker)
        owned = {worker.partition for worker in live if worker.generation == world.generation[worker.partition]}
        unfinished = {p for p in range(PARTITIONS) if world.committed[p] != EVENTS or world.fences(p).min() < EVENTS - 1}
        if not unfinished and not trouble:
            break
        live += [Worker(world, p) for p in sorted((unfinished or set(range(PARTITIONS))) - owned)]
    else:
        raise AssertionError(f"seed {seed}: never comes to rest")
    for worker in live:
        worker.task.cancel()
    await asyncio.gather(*(worker.task for worker in started), *world.requests, return_exceptions=True)
    return world


def run(seed: int) -> World:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        world = runner.run(play(seed))
    expected = offline.compute(PLAN, [batch(events, p) for p, events in enumerate(world.events)]).states
    for group in PLAN.groups:
        found = {id: state.tobytes() for id, state in world.store._states[PLAN.namespace(group)].items()}
        assert found == expected[group.name], f"seed {seed}: {group.name} differs"
    missing = PARTITIONS * EVENTS - len(world.predicted)
    assert not missing, f"seed {seed}: {missing} events never predicted"
    saw_future = sum(any(seen) for seen in world.predicted.values())
    assert world.rolled_back or not saw_future, f"seed {seed}: {saw_future} vectors saw their own future"
    return world


@pytest.mark.parametrize("block", range(3))
def test_every_event_counts_once_though_workers_degrade_and_die(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(degraded, "MERGE_EVENTS", 4)  # so that a queue takes several merges, and commits fall between them
    worlds = [run(1000 * block + i) for i in range(10)]
    assert any(world.rolled_back for world in worlds)
    assert any(not world.rolled_back for world in worlds)
    assert sum(world.degraded for world in worlds) > 50, "the outages were too short to degrade: the test tests nothing"
    assert sum(world.killed_with_kept for world in worlds) >= 3, "nobody died while degraded"
