"""What a consumer does when partitions come and go: drain and commit, seek, forget.

Order on revocation (pitfall 5): stop the flow, wait for running handlers (bounded), commit what they finished, let
Faust do its part, void the tickets. Order on assignment (pitfall 7): no fetch of older positions under way, ask the hook
where to start other than at the committed offsets, seek there; only then anything is fetched.

Kafka's part of an assignment is bounded. The hook's is not: it waits for the feature store for as long as that is away. Faust
waits for an assignment only so long, so the rest happens in a task of its own, beside a flow that runs and fetches nothing; a
revocation or a stop abandons it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Set
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError

from streams.chunk import TP, Chunking
from streams.errors import AssignmentTimeout, PositionBeyondLog
from streams.fetching import Fetched
from streams.progress import Progress
from streams.scheduler import Backlog

logger = logging.getLogger(__name__)

COMMIT_SECONDS = 2.0  # a broker that does not answer must not hold up a revocation or a stop; what is lost is read again
COMMIT_TRIES = 3  # a commit that finds another under way waits for it and does nothing


class AssignmentMixin:
    app: Any
    chunking: Chunking
    progress: Progress
    backlog: Backlog
    _thread: Any
    _wake: asyncio.Event
    _fetching: asyncio.Future[Fetched] | None
    positions: dict[TP, int]
    _unchunked: list[tuple[TP, Any]]
    _heard: dict[TP, float]
    _read_offset: dict[TP, int | None]
    _committed_offset: dict[TP, int | None]
    _seeking: bool
    _assigning: asyncio.Task[None] | None = None

    async def on_partitions_revoked(self, revoked: Set[TP]) -> None:
        """Faust would drop what is done and uncommitted before it waits for what runs (pitfall 5)."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        await self._abandon_assignment()
        await self._stop_fetching()
        await self.drain()
        await self._commit_done()
        await super().on_partitions_revoked(revoked)  # type: ignore[misc]
        self.progress.void()
        self._forget_positions()
        await self._call_hook(revoked)

    async def on_partitions_assigned(self, assigned: Set[TP], generation_id: int = 0) -> None:
        """Faust seeks nothing where nothing was assigned, and the hook would not hear of it."""
        await super().on_partitions_assigned(assigned, generation_id)  # type: ignore[misc]
        if not assigned:
            try:
                await self.chunking.hooks.on_assigned({})
            except Exception as error:
                await self.app.crash(error)

    async def _call_hook(self, revoked: Set[TP]) -> None:
        if revoked and not self.app.should_stop:
            try:
                await self.chunking.hooks.on_revoked({TP(*tp) for tp in revoked})
            except Exception as error:
                await self.app.crash(error)

    async def perform_seek(self) -> None:
        """Seek to the committed offsets, or where the hook wants to start; returns before that where the hook waits for long.

        The caller's own time limit would end Faust's recovery loop without a word, and the worker would stay assigned and
        idle.
        """
        await self._abandon_assignment()
        limit = 0.8 * self.app.conf.broker_request_timeout
        task = self._assigning = asyncio.get_running_loop().create_task(self._assign(limit))
        try:
            await asyncio.wait([task], timeout=limit)
        except asyncio.CancelledError:  # rebalanced again, or stopped
            task.cancel()
            raise
        if task.cancelled():
            raise IllegalStateError("the assignment was revoked meanwhile")  # Faust's recovery starts over
        if task.done():
            task.result()

    async def _assign(self, limit: float) -> None:
        """An assignment from its first question to its last seek; what it cannot do stops the worker."""
        try:
            await self._seek_all(limit)
        except IllegalStateError as error:  # rebalanced again meanwhile
            logger.info("an assignment was not begun: %s", error)
            raise asyncio.CancelledError from error
        except TimeoutError:
            await self.app.crash(AssignmentTimeout(limit))
        except Exception as error:
            await self.app.crash(error)

    async def _abandon_assignment(self) -> None:
        """Gives up an assignment that waits still: its partitions are others', or will be assigned anew."""
        task, self._assigning = self._assigning, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _seek_all(self, limit: float) -> None:
        self._seeking = True
        try:
            async with asyncio.timeout(limit):
                await self._stop_fetching()
                self._forget_positions()
                committed = await self._thread.committed_offsets()
            starts = committed | dict(await self._starts(committed))
            async with asyncio.timeout(limit):
                # A fetch may have moved the positions since the rebalance, so all are set, also those without a commit.
                fresh = [TopicPartition(*tp) for tp, offset in starts.items() if offset is None]
                if fresh:
                    await self._thread.seek_to_beginning(*fresh)
                await self._seek_to({tp: offset for tp, offset in starts.items() if offset is not None})
            for tp, offset in starts.items():
                self._start_at(tp, offset, committed.get(tp))
        finally:
            self._seeking = False
            self._wake.set()

    async def _starts(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        chunked = {tp: offset for tp, offset in committed.items() if tp.topic in self.chunking.topics}
        starts = await self.chunking.hooks.on_assigned(chunked)
        return {tp: offset for tp, offset in starts.items() if tp in chunked}

    async def _seek_to(self, offsets: Mapping[TP, int]) -> None:
        if offsets:
            await self._thread.seek_wait({TopicPartition(*tp): offset for tp, offset in offsets.items()})

    def _start_at(self, tp: TP, offset: int | None, committed: int | None) -> None:
        self._read_offset[tp] = offset if offset else None
        self._committed_offset[tp] = committed if committed else None
        self.positions.pop(tp, None)
        self.backlog.start_at(tp, offset or 0)

    async def seek(self, partition: TP, offset: int) -> None:
        """Faust's own entry for a seek by hand; buffered records of the partition are dropped (pitfall 7)."""
        tp = TP(*partition)
        self._seeking = True
        try:
            await self._stop_fetching()
            await super().seek(TopicPartition(*tp), offset)  # type: ignore[misc]
            self._start_at(tp, offset, self._committed_offset.get(tp))
        finally:
            self._seeking = False
            self._wake.set()

    async def find_position(self, error: OffsetOutOfRangeError) -> None:
        """Kafka does not have the records that are next: gone by retention, or never written to this log.

        What retention deleted nobody can bring back: said aloud, and on with the first record left. A position
        beyond the end is another matter: the topic was created anew, or Kafka lost what it had acknowledged.
        """
        for key, position in error.args[0].items():
            tp = TP(*key)
            first = (await self.earliest_offsets(tp))[tp]  # type: ignore[attr-defined]
            if position >= first:
                end = (await self.highwaters(tp))[tp]  # type: ignore[attr-defined]
                raise PositionBeyondLog(tp.topic, tp.partition, position, end, self.app.conf.id)
            logger.error(
                "%s[%d]: Kafka deleted the records %d to %d before they were read; they are not scored and in no feature. "
                "Going on at %d. Give the topic a longer retention, or the pipeline more workers",
                tp.topic, tp.partition, position, first - 1, first,
            )  # fmt: skip
            await self._seek_to({tp: first})

    async def _stop_fetching(self) -> None:
        """Let the fetch under way report, so that none crosses a seek."""
        if self._fetching is not None:
            self._thread.interrupt_fetch()
            await asyncio.wait([self._fetching])

    def _forget_positions(self) -> None:
        self.backlog.clear()
        self.positions.clear()
        self._unchunked.clear()
        self._heard.clear()

    def stop_flow(self) -> None:
        super().stop_flow()  # type: ignore[misc]
        self._wake.set()

    def resume_flow(self) -> None:
        super().resume_flow()  # type: ignore[misc]
        self._wake.set()

    async def drain(self) -> None:
        """Wait for the running handlers, bounded (pitfalls 5, 18); those that outlive it are cancelled."""
        running = self.progress.running()
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=self.chunking.drain_seconds)
        for task in late:
            task.cancel()
        if late:
            logger.warning("%d chunks were not finished within %.1f s", len(late), self.chunking.drain_seconds)

    async def _commit_done(self) -> None:
        """Bounded: aiokafka tries for as long as the broker is away, and a call to a stopped thread never returns."""
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                for _ in range(COMMIT_TRIES):
                    if not self.progress.done_partitions() or await self.commit():  # type: ignore[attr-defined]
                        return
        except TimeoutError:
            logger.warning("what was done was not committed within %.0f s and will be read again", COMMIT_SECONDS)
            self.progress.forget_done()

    def close(self) -> None:
        """Called by Faust when a rebalance meets a stop, to close aiokafka from the wrong loop; the thread does it itself."""

    async def wait_empty(self) -> None:
        """Called by Faust on shutdown and revocation; its own loop has no bound and watches acknowledgements.

        After a crash the consumer's thread is gone: nothing can be committed, and a commit would never return.
        """
        await self._abandon_assignment()
        if self.app.crashed:
            for task in self.progress.running():
                task.cancel()
            return
        await self.drain()
        await self._commit_done()
