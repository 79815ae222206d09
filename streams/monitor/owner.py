"""The monitor's part in an assignment: it goes on from the checkpoint, counts chunks, writes the checkpoint, then publishes.

In this order, so that a crash at any instant leaves either rows to be read again or records to be published again, of which the
topic keeps the first. What is counted is watching.py's affair; that there is one owner at a time, ownership.py's.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Set
from typing import Any

from featurestore.checkpoints import Checkpoint
from featurestore.events import contract
from monitors.monitor_metrics import MonitorMetrics
from scorer.pipeline import Pipeline
from streams.chunk import TP, Chunk
from streams.errors import MonitorStateError
from streams.monitor.outbox import batch, missing
from streams.monitor.records import drift_topic
from streams.monitor.watching import Watching
from streams.outputs import TopicNames
from streams.publisher import Publisher
from streams.settings import Settings
from streams.topic_facts import TopicFacts
from streams.web import Readiness

log = logging.getLogger(__name__)

CLAIM_SECONDS = 2.0  # well within any session timeout
CLAIMS = 3  # a Redis that is merely slow does not keep windows back

Begin = Callable[[Mapping[bytes, bytes]], Watching]  # from a checkpoint's fields


class Owner:
    """Handler and hooks of the monitor's app; see streams.chunk."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: Settings,
        begin: Begin,
        checkpoint: Checkpoint,
        publisher: Publisher,
        metrics: MonitorMetrics,
        readiness: Readiness,
        announce: Callable[[str], None],
    ) -> None:
        self.app: Any = None
        self._topic, self._settings = drift_topic(pipeline.name), settings
        names = TopicNames.of(pipeline.name)
        self._topics = (names.features, names.dead_letters, contract(pipeline.score).topic)
        self._begin, self._checkpoint, self._publisher = begin, checkpoint, publisher
        self._metrics, self._readiness, self._announce = metrics, readiness, announce
        self._watching: Watching | None = None
        self._writing = asyncio.Lock()

    @property
    def at_work(self) -> bool:
        """Whether this monitor has the partitions, not another."""
        return self._watching is not None

    # -- hooks

    async def on_assigned(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        """Where each partition goes on: at the checkpoint's position, which is never behind what it counted."""
        if not committed:
            self._readiness.done("partitions")
            self._announce("standing by, another monitor is at work")
            return {}
        consumer = self.app.consumer
        firsts, ends = await consumer.earliest_offsets(*committed), await consumer.highwaters(*committed)
        watching = self._begin(await self._checkpoint.read())
        watching.replaced(await asyncio.to_thread(self._topic_ids))
        starts = {tp: start(tp, watching.position(tp, offset), firsts[tp], ends[tp]) for tp, offset in committed.items()}
        await watching.begin(starts)
        entries = watching.state.outbox
        if entries:
            watching.state.outbox = await asyncio.to_thread(missing, self._settings.kafka, self._topic, entries)
        await self._write(watching)  # from here on who owned it before is refused
        self._watching = watching
        await self._deliver(watching)
        self._readiness.done("partitions")
        self._announce("at work")
        return starts

    async def before_commit(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        """Kafka hears of a position only once it is in the checkpoint."""
        watching = self._watching
        if watching is None:
            return {}
        async with self._writing:
            if watching is self._watching and watching.changed:
                await self._write(watching)
        return offsets

    async def on_revoked(self, tps: Set[TP]) -> None:
        self._watching = None
        self._metrics.breaches(None)  # the next owner's to say: a count that stands still would page for ever

    # -- chunks

    async def __call__(self, *chunks: Chunk) -> None:
        watching = self._watching
        for chunk in chunks:
            if watching is None or watching is not self._watching:
                return  # its partitions are another's; what it did is in no checkpoint
            await watching.take(chunk, self._caught_up)
            if watching.state.outbox:
                await self._deliver(watching)

    def _caught_up(self, tp: TP, position: int) -> bool:
        end = self.app.consumer.highwater(tp)
        return end is not None and position >= end

    async def _write(self, watching: Watching) -> None:
        await self._checkpoint.write(watching.fields())
        self._metrics.state_written()

    async def _claimed(self, watching: Watching) -> None:
        """Writes, again where that took so long that another may have taken over since: a process can be stopped anywhere."""
        for _ in range(CLAIMS):
            began = time.monotonic()
            await self._write(watching)
            if time.monotonic() - began < CLAIM_SECONDS:
                return

    async def check_topics(self) -> None:
        """Ends the monitor where a topic was created anew; started again, it begins with that topic's first record."""
        watching = self._watching
        if watching is not None:
            found = await asyncio.to_thread(self._topic_ids)
            anew = [topic for topic, id in found.items() if watching.state.topic_ids.get(topic, id) != id]
            if anew:
                await self.app.crash(
                    MonitorStateError(f"{anew[0]} was created anew; start the monitor again, and it begins there")
                )

    def _topic_ids(self) -> dict[str, str]:
        return TopicFacts(self._settings.kafka).ids(self._topics)

    async def _deliver(self, watching: Watching) -> None:
        """Publishes what was judged, once the checkpoint has it."""
        async with self._writing:
            entries = list(watching.state.outbox)  # it may grow meanwhile
            if not entries or watching is not self._watching:
                return
            await self._claimed(watching)
            await self._publisher.publish([batch(self._topic, entries)])
            watching.delivered(len(entries))


def start(tp: TP, position: int | None, first: int | None, end: int | None) -> int:
    """Where to read on, by what the log holds; says so where rows are lost or the topic is another one than before."""
    first, end = first or 0, end or 0
    if position is None:
        return first
    if position > end:
        log.warning("%s[%d] ends at %d, and %d was next: it was created anew. Going on at %d", *tp, end, position, first)
        return first
    if position < first:
        log.error("%s[%d]: Kafka deleted %d to %d before they were monitored; going on at %d", *tp, position, first - 1, first)
    return max(position, first)
