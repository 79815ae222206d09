"""What a flow does while the feature store is away: pause, or go on without its features.

Paused, calls wait for the store, and with them the consumption. Degraded, a chunk whose read is not answered in time is served
without states, and a chunk that was published joins its partition's queue, which a task merges in offset order for as long as it
takes. Three rules keep every event counted once: nothing may be committed that waits in a queue; a partition's chunks are served
from states only when its queue is empty; the queue of a partition that was given up is dropped, and its next owner reads the
events again. Merges are fenced as ever (featurestore.session), so whatever a dropped one still did is found by the next.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from featurestore.errors import StoreWentBackError
from featurestore.events import EventBatch, joined
from featurestore.session import Joint, Session, View
from scorer.pipeline import Pipeline
from streams.chunk import Chunk

log = logging.getLogger(__name__)

MERGE_EVENTS = 2000  # as the transport's chunks: one script blocks Redis for some milliseconds
T = TypeVar("T")
Merged = Callable[[EventBatch], None]  # hears of each batch that the store has taken


class StorePolicy(Protocol):
    """Brings sessions and the store together. What a method raises must stop the worker."""

    async def begin(self, session: Session, committed: int | None, log_end: int | None) -> int | None:
        """See Session.begin."""

    async def read(self, sessions: Sequence[Session], batch: EventBatch) -> View:
        """The chunks' states, or a view without them."""

    async def merge(self, sessions: Sequence[Session], view: View, chunks: Sequence[Chunk]) -> None:
        """Returns when the partitions' next chunks may be read."""

    async def settle(self, session: Session, offset: int) -> bool:
        """Whether `offset` may be committed."""

    def drop(self, session: Session) -> None:
        """Its partition is another's now."""


def store_policy(pipeline: Pipeline, merged: Merged, waiting: Callable[[int], None], away: Callable[[bool], None]) -> StorePolicy:
    """The one that the pipeline declares; `waiting` hears how many events are published and not merged, `away` whether the store
    has not answered in the time that is declared."""
    if pipeline.on_store_unavailable == "pause":
        return Pausing(merged)
    return Degrading(merged, waiting, away, pipeline.degrade_after_seconds, pipeline.degrade_max_events)


class Pausing:
    """Every call waits for the store."""

    def __init__(self, merged: Merged) -> None:
        self._merged = merged

    async def begin(self, session: Session, committed: int | None, log_end: int | None) -> int | None:
        return await session.begin(committed, log_end)

    async def read(self, sessions: Sequence[Session], batch: EventBatch) -> View:
        return await Joint(sessions).read(batch)

    async def merge(self, sessions: Sequence[Session], view: View, chunks: Sequence[Chunk]) -> None:
        await Joint(sessions).merge(view, [chunk.last_offset for chunk in chunks])
        self._merged(view.batch)

    async def settle(self, session: Session, offset: int) -> bool:
        await session.settle(offset)
        return True

    def drop(self, session: Session) -> None:
        """It holds nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Consecutive records that were published and wait for the store; with their view only if they hardly wait at all."""

    first: int
    last: int
    batch: EventBatch
    view: View | None


@dataclass(slots=True, eq=False)
class _Queue:
    """What one partition has for the store. With ``late``, its fences must be read before anything else."""

    session: Session
    kept: deque[_Kept] = field(default_factory=deque)
    late: Callable[[], Awaitable[None]] | None = None
    task: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        return bool(self.kept) or self.late is not None

    def check(self) -> None:
        """Raises what the task raised."""
        if self.task is not None and self.task.done():
            self.task.result()

    async def emptied(self) -> None:
        """Waits for the task, and leaves it alone when it is cancelled itself; raises what the task raised."""
        if self.task is not None:
            await asyncio.wait({self.task})
            self.task.result()

    def put(self, kept: _Kept) -> None:
        self.kept.append(replace(kept, view=None, batch=replace(kept.batch, _kept={})) if self.kept else kept)

    def take(self) -> tuple[View, int, int]:
        """The next merge: a view, its last offset, and how many of the queue it consists of. What waited is joined."""
        if self.kept[0].view is not None:
            return self.kept[0].view, self.kept[0].last, 1
        n, events = 0, 0
        while n < len(self.kept) and (not n or events + len(self.kept[n].batch) <= MERGE_EVENTS):
            events += len(self.kept[n].batch)
            n += 1
        batch = joined([self.kept[i].batch for i in range(n)])
        return self.session.unread(batch), self.kept[n - 1].last, n


class Degrading:
    """Calls wait no longer than ``after_seconds``; at most ``max_events`` events of all partitions wait in queues.

    Each partition has a queue of its own, so chunks come one by one here, never joined.
    """

    def __init__(
        self,
        merged: Merged,
        waiting: Callable[[int], None],
        away: Callable[[bool], None],
        after_seconds: float,
        max_events: int,
    ) -> None:
        self._merged, self._waiting, self._tell_away = merged, waiting, away
        self._after, self._max_events = after_seconds, max_events
        self._queues: dict[Session, _Queue] = {}
        self._held = 0
        self._silent_at: float | None = None

    @property
    def _away(self) -> bool:
        """Whether a call went unanswered, and nothing was answered since: what waits in a queue will tell, or another try."""
        if self._silent_at is None:
            return False
        return any(self._queues.values()) or asyncio.get_running_loop().time() < self._silent_at + self._after

    async def begin(self, session: Session, committed: int | None, log_end: int | None) -> int | None:
        """Without an answer the partition starts at the committed offset; its fences are read before anything is merged."""
        queue = self._queues[session] = _Queue(session)
        if not self._away and (answer := await self._in_time(session.begin(committed, log_end))):
            return answer[0]
        session.begin_unread(committed)
        queue.late = partial(_begin_late, session, committed, log_end)
        self._work_on(queue)
        return None

    async def read(self, sessions: Sequence[Session], batch: EventBatch) -> View:
        (session,) = sessions
        queue = self._queues.get(session)
        if queue is None:
            return await session.read(batch)  # its partition is another's; nobody will miss what becomes of this
        if self._held + len(batch) > self._max_events:
            return await self._states(queue, batch)
        queue.check()
        if not self._away and (answer := await self._in_time(self._states(queue, batch))):
            return answer[0]
        return session.unread(batch)

    async def merge(self, sessions: Sequence[Session], view: View, chunks: Sequence[Chunk]) -> None:
        ((session,), (chunk,)) = sessions, chunks
        queue = self._queues.get(session)
        if queue is None:
            return
        queue.check()
        at_once = view.degraded or self._away
        queue.put(_Kept(chunk.first_offset, chunk.last_offset, view.batch, view))
        self._hold(len(view.batch))
        self._work_on(queue)
        if self._held > self._max_events:
            await queue.emptied()
        elif not at_once:
            await self._in_time(queue.emptied())

    async def settle(self, session: Session, offset: int) -> bool:
        queue = self._queues.get(session)
        if queue is None:
            return False
        queue.check()
        if self._away or queue.late or (queue.kept and offset > queue.kept[0].first):
            return False
        return await self._in_time(session.settle(offset)) is not None

    def drop(self, session: Session) -> None:
        queue = self._queues.pop(session, None)
        if queue is not None:
            self._hold(-sum(len(kept.batch) for kept in queue.kept))
            if queue.task is not None and not queue.task.cancel() and not queue.task.cancelled():
                queue.task.exception()  # had it failed, its partition is another's now
        if not self._queues and self._silent_at is not None:  # nobody here would ever learn that the store is back
            self._set_silent(None)

    async def _states(self, queue: _Queue, batch: EventBatch) -> View:
        await queue.emptied()
        return await queue.session.read(batch)

    async def _in_time(self, call: Awaitable[T]) -> tuple[T] | None:
        """What the call returned, in a tuple; None where the store did not answer in time."""
        try:
            async with asyncio.timeout(self._after) as limit:
                answer = await call
        except TimeoutError:
            if not limit.expired():
                raise
            self._is_silent()
            return None
        self._has_answered()
        return (answer,)

    def _work_on(self, queue: _Queue) -> None:
        if queue.task is None or queue.task.done():
            queue.task = asyncio.get_running_loop().create_task(self._work(queue))

    async def _work(self, queue: _Queue) -> None:
        if queue.late is not None:
            await queue.late()
            queue.late = None
            self._has_answered()
        while queue.kept:
            view, last, n = queue.take()
            await queue.session.merge(view, last)
            for _ in range(n):
                self._hold(-len(queue.kept.popleft().batch))
            self._merged(view.batch)
            self._has_answered()

    def _hold(self, events: int) -> None:
        self._held += events
        self._waiting(self._held)

    def _is_silent(self) -> None:
        if not self._queues:
            return  # given up meanwhile, with all the partitions there were
        if self._silent_at is None:
            log.warning(
                "The feature store has not answered for %g s: scoring without its features, until %d events wait to be merged",
                self._after, self._max_events,
            )  # fmt: skip
        self._set_silent(asyncio.get_running_loop().time())

    def _has_answered(self) -> None:
        if self._silent_at is not None:
            log.warning("The feature store answers again; %d events wait to be merged", self._held)
            self._set_silent(None)

    def _set_silent(self, at: float | None) -> None:
        self._silent_at = at
        self._tell_away(at is not None)


async def _begin_late(session: Session, committed: int | None, log_end: int | None) -> None:
    start = await session.begin(committed, log_end)
    if start is not None:
        raise StoreWentBackError(
            f"the feature store came back without events of {session.source.topic}/{session.source.partition} from {start} "
            f"(committed: {committed}): restart this worker, which then merges them again"
        )
