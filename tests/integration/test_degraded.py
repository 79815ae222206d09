"""A pipeline that degrades, on a real Redis that answers nothing for a while, is restarted, or comes back empty."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from featurestore import offline
from featurestore.errors import StoreWentBackError
from featurestore.redis_store import RedisStore
from monitors.metrics import WorkerMetrics
from scorer.pipeline import Pipeline
from streams.chunk import TP
from streams.embedded import EmbeddedRedis
from streams.flow import Flow
from streams.publisher import MemoryPublisher
from streams.records import REASONS
from tests.featurestore.world import PLAN, START, batch
from tests.streams.records import event_chunk
from tests.streams.test_flow import PIPELINE, World, sales, serving

pytestmark = pytest.mark.integration
AFTER = 1.0  # seconds; a busy machine may take tenths for a sound answer
PARTITIONS = [TP("sales", 0), TP("sales", 1)]
DEGRADING = dataclasses.replace(PIPELINE, on_store_unavailable="degrade", degrade_after_seconds=AFTER)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """One of its own, to be paused and stopped."""
    with EmbeddedRedis(data_dir=tmp_path, appendonly=True) as server:
        yield server


class Job(World):
    """Two partitions of sales, handled in turn: chunk i of each has ten events."""

    def __init__(self, url: str, pipeline: Pipeline = DEGRADING) -> None:
        self.pipeline = pipeline
        self.metrics = WorkerMetrics("world", [group.name for group in PLAN.groups], REASONS)
        away = partial(self.metrics.store_away, "client")
        self.store, self.publisher = RedisStore(url, PLAN.shards, on_away=away), MemoryPublisher()  # type: ignore[assignment]
        self.events = {tp: sales(400, first=0.5 * tp.partition) for tp in PARTITIONS}
        self.restart()

    def restart(self) -> None:
        self.flow = Flow(self.pipeline, PLAN, self.store, self.publisher, self.metrics, serving(), clock=lambda: START + 5)
        self.done = 0

    async def handle(self, chunks: int) -> None:
        for i in range(self.done, self.done + chunks):
            for tp, events in self.events.items():
                await self.flow(event_chunk(events[10 * i : 10 * i + 10], tp.partition, 10 * i))
        self.done += chunks

    async def committed(self, seconds: float = 30.0) -> None:
        """Until everything handled may be committed."""
        async with asyncio.timeout(seconds):
            while set(await self.flow.settle(dict.fromkeys(PARTITIONS, 10 * self.done))) != set(PARTITIONS):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # as the timer of commits does

    async def states_are_exact(self) -> None:
        batches = [batch(events[: 10 * self.done], tp.partition) for tp, events in self.events.items()]
        expected = offline.compute(PLAN, batches).states
        for group in PLAN.written_by("sales"):
            assert await self.store.dump(PLAN.namespace(group)) == expected[group.name], group.name


def play(redis: EmbeddedRedis, body: Callable[[Job], Awaitable[None]], pipeline: Pipeline = DEGRADING) -> Job:
    made: list[Job] = []

    async def main() -> None:
        job = Job(redis.url, pipeline)
        made.append(job)
        for tp in PARTITIONS:
            await job.flow.assign(tp, None, 0)
        await body(job)
        job.flow.close()
        await job.store.close()

    asyncio.run(main())
    return made[0]


def test_a_paused_redis_costs_features_and_nothing_else(redis: EmbeddedRedis) -> None:
    """Requests that were given up are answered later, on connections that nobody reads any more."""

    async def body(job: Job) -> None:
        await job.handle(5)
        for _ in range(3):
            redis.pause()
            started = monotonic()
            await job.handle(5)
            assert monotonic() - started < 8 * AFTER  # one wait, not one for each of ten chunks
            assert job.predictions()[-1].flags == ["degraded"]
            assert await job.flow.settle(dict.fromkeys(PARTITIONS, 10 * job.done)) == {}
            assert job.value("tidegate_store_unavailable") == 1
            redis.resume()
            await job.committed()
            await job.handle(2)
            assert job.predictions()[-1].flags == []
            assert job.value("tidegate_store_unavailable") == 0
        await job.committed()
        await job.states_are_exact()

    job = play(redis, body)
    ids = [p.prediction_id for p in job.predictions()]
    assert len(ids) == len(set(ids)) == 2 * 10 * job.done
    outcomes = {o: job.value("tidegate_events_total", outcome=o) for o in ("degraded", "scored")}
    assert outcomes["degraded"] >= 300
    assert sum(outcomes.values()) == len(ids)


def test_a_restarted_redis_with_its_data_is_gone_on_with(redis: EmbeddedRedis) -> None:
    async def body(job: Job) -> None:
        await job.handle(3)
        await job.committed()
        redis.stop()
        await job.handle(3)
        assert job.predictions()[-1].flags == ["degraded"]
        assert job.value("tidegate_store_unavailable") == 1
        redis.start()
        await job.committed()
        assert job.value("tidegate_store_unavailable") == 0
        await job.handle(1)
        assert job.predictions()[-1].flags == []
        await job.committed()
        await job.states_are_exact()

    play(redis, body)


def test_a_pipeline_that_pauses_says_that_redis_is_away_until_it_answers(redis: EmbeddedRedis) -> None:
    async def body(job: Job) -> None:
        async def unavailable(said: int) -> None:
            async with asyncio.timeout(30):
                while job.value("tidegate_store_unavailable") != said:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        await job.handle(1)
        for _ in range(2):
            redis.stop()
            waiting = asyncio.create_task(job.handle(1))
            await unavailable(1)
            assert not waiting.done()
            redis.start()
            await asyncio.wait_for(waiting, 30)
            await unavailable(0)
        await job.committed()
        await job.states_are_exact()

    play(redis, body, PIPELINE)


def test_a_redis_that_comes_back_empty_stops_the_worker_which_then_recovers(redis: EmbeddedRedis) -> None:
    async def body(job: Job) -> None:
        await job.handle(3)
        await job.committed()
        redis.stop()
        await job.handle(2)
        redis.restart(wipe=True)
        with pytest.raises(StoreWentBackError, match="restart this worker"):
            await job.committed()
        job.flow.close()
        job.restart()
        for tp in PARTITIONS:
            assert await job.flow.assign(tp, 30, 400) == 0
        await job.handle(6)
        await job.committed()
        await job.states_are_exact()

    play(redis, body)
