"""The micro-batch transport: Faust's aiokafka driver, one message per chunk of records instead of one per record.

Small chunks of several partitions of a topic are handed out together, in one message of the first one's partition.

Registered as the `faust.transports` entry point `microbatch`; an app made by `streams.faust_app.create_app` uses
it. Only declared topics are chunked; records of others pass one by one with Faust's own acknowledgement. The choice
of the next chunk is scheduler.py's, what may be committed is progress.py's, what a rebalance does is assignment.py's.
Numbers after "pitfall" are those of docs/decisions.md's list of what stock Faust does to chunks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Set
from typing import Any

from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from streams.assignment import AssignmentMixin
from streams.chunk import TP, Chunk, Chunking, Handler, Hooks
from streams.errors import HandlerCancelled
from streams.fetching import ConsumerThread, Fetched
from streams.progress import Progress, Ticket
from streams.scheduler import Backlog, joint

__all__ = ["TP", "Chunk", "Chunking", "Consumer", "Handler", "Hooks", "Transport"]

logger = logging.getLogger(__name__)

FETCH_SECONDS = 1.0  # an idle fetch reports at least this often
PATIENCE_SECONDS = 5.0  # a partition whose records do not come holds the others back no longer than this


class Consumer(AssignmentMixin, driver.Consumer):  # type: ignore[misc]
    """Yields tickets for chunks while there are slots, and commits what their handlers finished."""

    logger = logging.getLogger("faust.transport.microbatch")  # what Faust says about it; silent with Faust's other

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.chunking: Chunking = self.app.chunking
        self.progress = Progress(self.chunking.in_flight)
        self.backlog = Backlog(
            max_chunk_events=self.chunking.max_chunk_events, max_buffered_events=self.chunking.max_buffered_events
        )
        self._lead_ms = {topic: int(lead * 1000) for topic, lead in self.chunking.max_lead_seconds.items()}
        self.positions: dict[TP, int] = {}  # as of the last fetch; what lies below was delivered
        self._unchunked: list[tuple[TP, Any]] = []
        self._fetching: asyncio.Future[Fetched] | None = None
        self._fetching_tps: set[TP] = set()
        self._fetch_error: BaseException | None = None
        self._seeking = False
        self._wake = asyncio.Event()
        self._heard: dict[TP, float] = {}
        self._due: dict[str, float] = {}

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- from the broker to the streams

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's signature
        """One round: hand out what slots and records allow, then wait until either changes."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        if self.should_stop or not self.flow_active:
            return
        self._wake.clear()
        await self._meet_fetch_error()
        self._keep_fetching()
        while self._unchunked:
            tp, record = self._unchunked.pop(0)
            yield tp, self._to_message(tp, record)
        while self.flow_active and (ticket := self._next_ticket()) is not None:
            yield ticket.chunks[0].tp, self._to_chunk_message(ticket)
        self._keep_fetching()
        await self._wake.wait()

    def _keep_fetching(self) -> None:
        """One fetch under way, for every partition with room; one that misses a starving partition is renewed."""
        if self._seeking or not self.flow_active:
            return
        wanted = self.backlog.wants(self._get_active_partitions())
        if self._fetching is not None:
            missed = wanted - self._fetching_tps
            if missed and self.backlog.starving(missed):
                self._thread.interrupt_fetch()
        elif wanted:  # aiokafka takes an empty set for all partitions
            self._start_fetch(wanted)

    def _start_fetch(self, wanted: set[TP]) -> None:
        max_records = self.app.conf.broker_max_poll_records
        pending = self._thread.start_fetch(wanted, FETCH_SECONDS, max_records)
        self._fetching = asyncio.wrap_future(pending, loop=self.loop)
        self._fetching_tps = wanted
        self._fetching.add_done_callback(self._on_fetched)

    def _on_fetched(self, fetch: asyncio.Future[Fetched]) -> None:
        self._fetching = None
        self._wake.set()
        if fetch.cancelled():
            return
        if (error := fetch.exception()) is not None:
            self._fetch_error = error
            return
        fetched = fetch.result()
        for key, records in fetched.records.items():
            tp = TP(*key)
            self._track_end_offset(tp)
            if tp.topic in self.chunking.topics:
                self.backlog.add(tp, records)
            else:
                self._unchunked += ((tp, record) for record in records)
        self.positions.update((TP(*tp), position) for tp, position in fetched.positions.items())

    async def _meet_fetch_error(self) -> None:
        error, self._fetch_error = self._fetch_error, None
        if isinstance(error, OffsetOutOfRangeError):
            await self.find_position(error)
        elif error is not None:
            raise error

    def _next_ticket(self) -> Ticket | None:
        if not self.progress.has_slot:
            return None
        chunks = joint(
            self.backlog, self.progress.unfinished(), self._behind(), self._lead_ms, self._due_topics(),
            self.chunking.max_chunk_events, self.chunking.max_joined,
        )  # fmt: skip
        if not chunks:
            return None
        self._due[chunks[0].topic] = self.loop.time() + self.chunking.pace_seconds
        return self.progress.issue(*chunks)

    def _due_topics(self) -> Set[str]:
        """Those whose next chunk may go. A small one costs almost as much as a full one, so it waits for more, but briefly."""
        now, busy, tps = self.loop.time(), self.progress.unfinished(), self._get_active_partitions()
        held = {topic: due for topic, due in self._due.items() if now < due and not self.backlog.ripe(topic, busy, tps)}
        if held:
            self.loop.call_at(min(held.values()), self._wake.set)
        return self.chunking.topics - held.keys()

    def _behind(self) -> list[int]:
        """Progress of the partitions whose next records are on their way from the broker (pitfall 10).

        Only asked for when a lead is declared. A partition never heard of may hold anything, so it counts as the
        oldest of all; but none for longer than PATIENCE_SECONDS, or one dead leader would stop every partition.
        """
        if not self._lead_ms:
            return []
        now = time.monotonic()
        behind = []
        for tp in self._get_active_partitions():
            if tp.topic not in self.chunking.topics or self.backlog.holds(tp) or not self._thread.has_more(tp):
                self._heard[tp] = now
            elif now - self._heard.setdefault(tp, now) < PATIENCE_SECONDS:
                behind.append(self.backlog.last_timestamp.get(tp, 0))
        if behind:
            self.loop.call_later(0.02, self._wake.set)
        return behind

    def _to_chunk_message(self, ticket: Ticket) -> ConsumerMessage:
        first = ticket.chunks[0]
        last = first.records[-1]
        return ConsumerMessage(
            first.topic,
            first.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            (),
            None,
            ticket,
            None,
            tp=first.tp,
            generation_id=self.app.consumer_generation_id,
        )

    # -- from the streams to the handler

    def handle(self, ticket: Ticket) -> None:
        """Start the handler on a ticket's chunks, unless their assignment has gone meanwhile."""
        if self.progress.is_current(ticket):
            ticket.task = asyncio.get_running_loop().create_task(self._handle(ticket))

    async def _handle(self, ticket: Ticket) -> None:
        """Nothing escapes into Faust, which would acknowledge the chunk (pitfall 3)."""
        try:
            await self.chunking.handler(*ticket.chunks)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.progress.abandon(ticket) and task is not None and not task.cancelling():
                # Not by us: its partitions would wait for ever.
                cancelled = HandlerCancelled(ticket.chunks[0].topic, [chunk.partition for chunk in ticket.chunks])
                await self._crash_after_commit(cancelled)
        except Exception as error:
            if self.progress.abandon(ticket):
                await self._crash_after_commit(error)
            else:
                logger.warning("a handler of a revoked partition failed: %r", error)
        else:
            self.progress.finish(ticket)
        finally:
            self._wake.set()

    async def _crash_after_commit(self, error: Exception) -> None:
        """A crash stops the consumer's thread at once, so what other partitions finished is committed before."""
        self.stop_flow()
        await self._commit_done()
        await self.app.crash(error)

    # -- pitfalls of the base class

    def on_buffer_full(self, tp: TP) -> None:
        """Slots bound what is in the streams; taking partitions away would make the base class sleep (pitfall 4)."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See on_buffer_full."""

    def highwater(self, tp: TP) -> int | None:
        """None while unknown, as during a rebalance (pitfall 8)."""
        try:
            end: int | None = super().highwater(tp)
        except (AssertionError, AttributeError, ConsumerNotStarted, IllegalStateError, KeyError):
            return None
        return end

    def _track_end_offset(self, tp: TP) -> None:
        end = self.highwater(tp)
        if end is not None:
            self.app.monitor.track_tp_end_offset(tp, end)

    async def verify_all_partitions_active(self) -> None:
        """The lag monitor, another process, judges stalls (pitfall 13); this check fails during a rebalance."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.chunking.topics:  # a chunk is no gap (pitfall 1)
            await super()._add_gap(tp, offset_from, offset_to)

    # -- commits

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[TP]:
        """Partitions with something done; what compiled streams noted on chunks is dropped (pitfall 1)."""
        for tp in [tp for tp in self._acked if tp.topic in self.chunking.topics]:
            self._acked[tp].clear()
            self._acked_index[tp].clear()
        pending = {*self._acked, *self.progress.done_partitions(), *self.positions}
        return [tp for tp in pending if topics is None or tp in topics or tp.topic in topics]

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """What handlers finished; Faust's acknowledgements count for topics that are not chunked (pitfalls 1, 2)."""
        tps = list(tps)
        others = super()._filter_committable_offsets(tp for tp in tps if tp.topic not in self.chunking.topics)
        done = {**self.progress.committable(tps), **self._caught_up(tps)}
        return {**others, **{tp: offset for tp, offset in done.items() if self._should_commit(tp, offset)}}

    def _caught_up(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Of partitions with nothing waiting and nothing unfinished: the position, also past what is no record.

        A transaction ends with a marker, which has an offset: without this, lag would never be 0.
        """
        unfinished = self.progress.unfinished()
        idle = (tp for tp in tps if not self.backlog.holds(tp) and tp not in unfinished)
        found = {tp: self.positions.get(tp, 0) for tp in idle if tp.topic in self.chunking.topics}
        return {tp: position for tp, position in found.items() if position > (self._committed_offset[tp] or 0)}

    async def _commit_tps(self, tps: Iterable[TP], start_new_transaction: bool) -> bool:
        offsets = self._filter_committable_offsets(tps)
        if not offsets:
            return False
        allowed = await self._allowed(offsets)
        committed: bool = bool(allowed) and await self._commit_offsets(allowed, start_new_transaction)
        if committed:
            self.progress.committed(allowed.items())
        return committed

    async def _allowed(self, offsets: Mapping[TP, int]) -> dict[TP, int]:
        """What the hook lets through, never more than is done."""
        try:
            allowed = await self.chunking.hooks.before_commit(offsets)
        except Exception as error:
            await self.app.crash(error)
            return {}
        return {tp: min(offset, offsets[tp]) for tp, offset in allowed.items() if tp in offsets}


class Transport(driver.Transport):  # type: ignore[misc]
    """`microbatch://host:port`"""

    Consumer = Consumer
