"""The fence protocol: an assignment of a partition, from its first read to its last merge; several partitions' chunks as one.

What a partition's owner must know to count every event exactly once (docs/decisions.md, "A chunk's order"):

- the **fences** it has seen, per group and shard: events at or below a shard's fence are in that shard's states already;
- **predicted_to**: every event up to it has been published, because a merge comes after its chunk's acknowledgement;
- **committed**: where the group stood when the assignment began. Recovery starts before it; nothing below it is committed again.

tests/featurestore/test_protocol.py drives this code through random crashes, zombies and stores that go back in time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from featurestore.admission import Admits
from featurestore.compute import GroupChunk, Served, Touch, accumulated, group_chunk, serve
from featurestore.entities import NO_ENTITIES, Entities
from featurestore.errors import FenceBeyondLogError, StoreWentBackError, begin_anew
from featurestore.events import Bools, EventBatch, Floats, Ints, Source
from featurestore.layout import Group
from featurestore.plan import FeaturePlan
from featurestore.store import UNREAD, Merge, Read, Store


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A chunk with what the store held of it: for each group of the plan (or, of a feed, for each group it writes).

    ``fences`` int64 (partitions, shards) are those of the states, as read with them; ``fresh`` bool (n,): events not published
    yet, to be scored; ``degraded``: made without asking the store.
    """

    batch: EventBatch
    chunks: tuple[GroupChunk, ...]
    states: tuple[Floats, ...]
    fences: tuple[Ints, ...]
    fresh: Bools
    degraded: bool = False


class Session:
    """One partition: reads, serves and merges its chunks in offset order. Not for two chunks at once.

    ``topic`` is that of the events, where the source is a name of its own for its fences (a Parquet file); ``admits`` says which
    events count in a group at all.
    """

    def __init__(
        self, plan: FeaturePlan, store: Store, source: Source, topic: str | None = None, admits: Admits | None = None
    ) -> None:
        self.plan, self.store, self.source, self.admits = plan, store, source, admits
        self.written = plan.written_by(topic or source.topic)
        self.fences: dict[str, Ints] = {}  # by group, int64 (shards,)
        self.committed = 0
        self.predicted_to = -1

    async def begin(self, committed: int | None, log_end: int | None = None) -> int | None:
        """Reads the fences; the offset to start from where that is not the committed one (recovery seeks back), else None.

        FenceBeyondLogError where a fence is at or past `log_end`, or the commit past it: the topic was created anew, or cut off.
        """
        fences = await self.store.fences([self.plan.namespace(group) for group in self.written], self.source)
        self.fences = {group.name: found for group, found in zip(self.written, fences, strict=True)}
        highest = max((int(found.max()) for found in fences), default=-1)
        lowest = min((int(found.min()) for found in fences), default=None)
        self._check_end(committed, highest, log_end)
        self._assume(committed)
        self.predicted_to = max(highest, self.predicted_to)
        if committed is not None and lowest is not None and lowest < committed - 1:
            return lowest + 1
        return None

    def _check_end(self, committed: int | None, highest: int, log_end: int | None) -> None:
        """A log that ends before what was counted or committed is another log, whose events would pass for seen."""
        if log_end is None:
            return
        if highest >= log_end:
            known = f"the feature store counted events up to {highest}"
        elif committed is not None and committed > log_end:
            moved = f" (moved there by hand? Move it back to {highest + 1})" if highest >= 0 else ""
            known = f"the workers' consumer group committed {committed}{moved}"
        else:
            return
        names = [self.plan.namespace(group) for group in self.written]
        raise FenceBeyondLogError(
            f"{self.source.topic}/{self.source.partition} ends at {log_end}, but {known}: the topic was created anew, or Kafka "
            f"lost records that it had acknowledged. Restore the topic, or begin anew: "
            f"{begin_anew(self.plan.pipeline, self.source.topic, names)}"
        )

    def begin_unread(self, committed: int | None) -> None:
        """Begins while the store is away. `begin` must follow before the first read or merge; until then, views are degraded."""
        self._assume(committed)

    def _assume(self, committed: int | None) -> None:
        self.committed = committed or 0
        self.predicted_to = self.committed - 1

    async def read(self, batch: EventBatch) -> View:
        """See Joint.read."""
        return await Joint([self]).read(batch)

    def unread(self, batch: EventBatch) -> View:
        """See Joint.unread."""
        return Joint([self]).unread(batch)

    def serve(self, view: View) -> Served:
        """See Joint.serve."""
        return Joint([self]).serve(view)

    async def merge(self, view: View, last_offset: int) -> None:
        """See Joint.merge."""
        await Joint([self]).merge(view, [last_offset])

    async def settle(self, offset: int) -> None:
        """Moves every fence up to `offset` - 1, so that `offset` may be committed: all before it must have been merged."""
        await Joint([self]).settle([offset - 1])

    def advance(self, group: Group, fences: Ints) -> None:
        """Takes in what is known of a group's fences now, int64 (shards,): none of them moves back."""
        own = self.fences[group.name]
        np.maximum(own, fences, out=own)
        self.predicted_to = max(self.predicted_to, int(own.max()))


class Joint:
    """Chunks of several partitions of one topic, read, served and merged as one; a small chunk costs as much as a large one.

    ``sessions`` in the order of the batch's parts. A shard is merged if the fences of all partitions that add to it are as
    expected, and then all of them are moved: each event stays counted once by its own partition's fence.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        first = sessions[0]
        self._sessions, self._plan, self._store, self._admits = sessions, first.plan, first.store, first.admits
        self._written = first.written
        self._sources = [session.source for session in sessions]

    async def read(self, batch: EventBatch) -> View:
        """The chunk's states and fences in one round trip; a feed's events need no states, so nothing is asked."""
        chunks = self._chunks(batch)
        states: tuple[Floats, ...] = ()
        fences: tuple[Ints, ...] = ()
        if batch.event is self._plan.scored:
            reads = [
                Read(self._plan.namespace(chunk.group), chunk.group, chunk.entities, self._touched(chunk, batch))
                for chunk in chunks
            ]
            known = self._known()
            replies = await self._store.read(self._sources, reads)
            states, fences = tuple(reply.states for reply in replies), tuple(reply.fences for reply in replies)
            for chunk, reply in zip(chunks, replies, strict=True):
                if chunk.group in self._written:
                    self._check(chunk.group, reply.fences, known[chunk.group.name])
                    self._advance(chunk.group, reply.fences)
        return View(batch, chunks, states, fences, self._fresh(batch))

    def unread(self, batch: EventBatch) -> View:
        """A chunk without asking the store: fresh is what is not known to have been published; it serves no state's value."""
        return View(batch, self._chunks(batch), (), (), self._fresh(batch), degraded=True)

    def _chunks(self, batch: EventBatch) -> tuple[GroupChunk, ...]:
        groups = self._plan.groups if batch.event is self._plan.scored else self._written
        return tuple(group_chunk(self._plan, group, batch) for group in groups)

    def _touched(self, chunk: GroupChunk, batch: EventBatch, of: Bools | None = None) -> Bools:
        """Which partitions add to which shards with these events (None: with any), bool (partitions, shards)."""
        out = np.zeros((len(self._sessions), self._plan.shards), dtype=np.bool_)
        if chunk.group in self._written:
            rows = np.flatnonzero(chunk.touch.writers >= 0 if of is None else of)
            out[batch.part[rows], chunk.entities.shards[chunk.touch.writers[rows]]] = True
        return out

    def _fresh(self, batch: EventBatch) -> Bools:
        predicted_to = np.array([session.predicted_to for session in self._sessions])
        return np.asarray(batch.offsets > predicted_to[batch.part])

    def serve(self, view: View) -> Served:
        """The served vectors; only rows of fresh events mean anything."""
        if view.degraded:
            return _serve_unread(self._plan, view)
        pairs = zip(view.chunks, view.fences, strict=True)
        applies = [self._applies(chunk, view.batch, fences) for chunk, fences in pairs]
        return serve(self._plan, view.batch, view.chunks, view.states, applies)

    async def merge(self, view: View, last_offsets: Sequence[int]) -> None:
        """Adds the chunk to the groups it feeds, once; `last_offsets` are those of each part's last record, accepted or not.

        Every fresh event of the chunk must have been published and acknowledged before.
        """
        pending = [self._merge(chunk, view.batch, last_offsets) for chunk in view.chunks if chunk.group in self._written]
        await self._merge_all([merge for merge in pending if merge.shards], view, last_offsets)
        for session, last in zip(self._sessions, last_offsets, strict=True):
            session.predicted_to = max(session.predicted_to, last)

    async def settle(self, last_offsets: Sequence[int]) -> None:
        """Moves every fence up to its partition's last offset; see Session.settle."""
        moves = [self._move(group, last_offsets) for group in self._written]
        await self._merge_all([move for move in moves if move.shards], None, last_offsets)

    def _move(self, group: Group, last_offsets: Sequence[int]) -> Merge:
        """The fences alone that lag behind."""
        fences, last = self._fences(group), np.array(last_offsets)[:, None]
        return self._moving(group, NO_ENTITIES, np.empty((0, group.length)), fences < last, last_offsets)

    def _applies(self, chunk: GroupChunk, batch: EventBatch, fences: Ints) -> Bools:
        """Which events the shard of their entity does not contain yet, by these fences."""
        if chunk.group not in self._written:
            return np.zeros(len(batch), dtype=np.bool_)
        writers = chunk.touch.writers
        shards = chunk.entities.shards[writers] if len(chunk.entities) else np.zeros(len(batch), dtype=np.int64)
        applies = np.asarray((writers >= 0) & (batch.offsets > fences[batch.part, shards]))
        return applies if self._admits is None else applies & self._admits(chunk.group, batch)

    def _merge(self, chunk: GroupChunk, batch: EventBatch, last_offsets: Sequence[int]) -> Merge:
        fences = self._fences(chunk.group)
        applies = self._applies(chunk, batch, fences)
        rows = np.unique(chunk.touch.writers[applies])  # entities only read, or trimmed away, leave no trace in the store
        added, dropped = accumulated(chunk, batch.times, applies)
        entities = Entities([chunk.entities.ids[row] for row in rows.tolist()], chunk.entities.shards[rows])
        moved = self._touched(chunk, batch, applies)
        return self._moving(chunk.group, entities, added[rows], moved, last_offsets, dropped)

    def _moving(
        self, group: Group, entities: Entities, deltas: Floats, moved: Bools, last_offsets: Sequence[int], dropped: int = 0
    ) -> Merge:
        """A merge that moves these fences, bool (partitions, shards), to the parts' last offsets."""
        return Merge(
            namespace=self._plan.namespace(group),
            group=group,
            entities=entities,
            deltas=deltas,
            shards=np.flatnonzero(moved.any(axis=0)).tolist(),
            expected=np.where(moved, self._fences(group), UNREAD),
            new=np.where(moved, np.array(last_offsets)[:, None], UNREAD),
            dropped=dropped,
        )

    async def _merge_all(self, merges: Sequence[Merge], view: View | None, last_offsets: Sequence[int]) -> None:
        """Merges; where a fence was higher than expected (another worker was here), trims the deltas and tries again."""
        while merges:
            known = self._known()
            replies = await self._store.merge(self._sources, merges)
            again = []
            for merge, found in zip(merges, replies, strict=True):
                asked = np.array(merge.shards)
                done = asked[(found[:, asked] == merge.expected[:, asked]).all(axis=0)]
                self._check(merge.group, found, known[merge.group.name])
                found[:, done] = merge.new[:, done]
                self._advance(merge.group, found)
                if len(done) < len(asked):
                    again.append(self._trimmed(merge, view, last_offsets))
            merges = [merge for merge in again if merge.shards]

    def _trimmed(self, merge: Merge, view: View | None, last_offsets: Sequence[int]) -> Merge:
        if view is None:
            return self._move(merge.group, last_offsets)
        chunk = next(chunk for chunk in view.chunks if chunk.group is merge.group)
        return self._merge(chunk, view.batch, last_offsets)

    def _fences(self, group: Group) -> Ints:
        """The fences as known now, int64 (partitions, shards), a copy."""
        return np.array([session.fences[group.name] for session in self._sessions])

    def _known(self) -> dict[str, Ints]:
        """All of them, when a request leaves. A commit's settling and a chunk's read may cross on the way."""
        return {group.name: self._fences(group) for group in self._written}

    def _check(self, group: Group, found: Ints, known: Ints) -> None:
        """Higher fences than `known` when asked are another's merges; where they are lower, the store lost some."""
        back = (found != UNREAD) & (found < known)
        if back.any():
            at = part, shard = tuple(np.argwhere(back)[0])
            source = self._sources[part]
            raise StoreWentBackError(
                f"group {group.name}, shard {shard}: the fence of {source.topic}/{source.partition} is {found[at]}, "
                f"this worker left it at {known[at]}: the store lost data; restart this worker, which then merges it again"
            )

    def _advance(self, group: Group, fences: Ints) -> None:
        """Takes in fences as they are now; what is UNREAD is below every one."""
        for session, own in zip(self._sessions, fences, strict=True):
            session.advance(group, own)


def _serve_unread(plan: FeaturePlan, view: View) -> Served:
    """Vectors of the event's own columns: every value from a state is missing, as of an entity without an id."""
    n = len(view.batch)
    nobody, nothing = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    chunks = [GroupChunk(c.group, NO_ENTITIES, Touch(nobody, nobody, c.touch.contributions)) for c in view.chunks]
    served = serve(plan, view.batch, chunks, [np.empty((0, c.group.length)) for c in chunks], [nothing] * len(chunks))
    missing = np.logical_or.reduce([nothing, *(c.touch.readers < 0 for c in view.chunks)])
    return replace(served, missing=missing)
