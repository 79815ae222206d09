"""A store that goes away and comes back, under a flow that degrades: for tests in memory."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from featurestore import offline
from featurestore.memory_store import MemoryStore
from monitors.metrics import WorkerMetrics
from streams.chunk import TP
from streams.flow import Flow
from streams.publisher import MemoryPublisher
from streams.records import REASONS
from tests.featurestore.world import PLAN, START, batch
from tests.streams.test_flow import PIPELINE, World, serving

AFTER = 0.1  # seconds: longer than a busy machine stalls a test that is not away
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

    async def read(self, sources: Any, reads: Sequence[Any]) -> Any:
        await self._answer()
        return await super().read(sources, reads)

    async def merge(self, sources: Any, merges: Sequence[Any]) -> Any:
        await self._answer()
        return await super().merge(sources, merges)

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
