"""The fence protocol: one assignment of one partition, from its first read to its last merge.

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

    ``fences`` are those of the states, as read with them; ``fresh`` bool (n,): events not published yet, to be scored;
    ``degraded``: made without asking the store.
    """

    batch: EventBatch
    chunks: tuple[GroupChunk, ...]
    states: tuple[Floats, ...]
    fences: tuple[Ints, ...]
    fresh: Bools
    degraded: bool = False


class Session:
    """Reads, serves and merges the chunks of one partition in offset order. Not for two chunks at once.

    ``topic`` is that of the events, where the source is a name of its own for its fences (a Parquet file); ``admits`` says which
    events count in a group at all.
    """

    def __init__(
        self, plan: FeaturePlan, store: Store, source: Source, topic: str | None = None, admits: Admits | None = None
    ) -> None:
        self._plan, self._store, self.source, self._admits = plan, store, source, admits
        self._written = plan.written_by(topic or source.topic)
        self._fences: dict[str, Ints] = {}
        self.committed = 0
        self.predicted_to = -1

    async def begin(self, committed: int | None, log_end: int | None = None) -> int | None:
        """Reads the fences; the offset to start from where that is not the committed one (recovery seeks back), else None.

        FenceBeyondLogError where a fence is at or past `log_end`, or the commit past it: the topic was created anew, or cut off.
        """
        fences = await self._store.fences([self._plan.namespace(group) for group in self._written], self.source)
        self._fences = {group.name: found for group, found in zip(self._written, fences, strict=True)}
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
        names = [self._plan.namespace(group) for group in self._written]
        raise FenceBeyondLogError(
            f"{self.source.topic}/{self.source.partition} ends at {log_end}, but {known}: the topic was created anew, or Kafka "
            f"lost records that it had acknowledged. Restore the topic, or begin anew: "
            f"{begin_anew(self._plan.pipeline, self.source.topic, names)}"
        )

    def begin_unread(self, committed: int | None) -> None:
        """Begins while the store is away. `begin` must follow before the first read or merge; until then, views are degraded."""
        self._assume(committed)

    def _assume(self, committed: int | None) -> None:
        self.committed = committed or 0
        self.predicted_to = self.committed - 1

    async def read(self, batch: EventBatch) -> View:
        """The chunk's states and fences in one round trip; a feed's events need no states, so nothing is asked."""
        scored = batch.event is self._plan.scored
        chunks = self._chunks(batch)
        states: tuple[Floats, ...] = ()
        fences: tuple[Ints, ...] = ()
        if scored:
            reads = [Read(self._plan.namespace(chunk.group), chunk.group, chunk.entities) for chunk in chunks]
            known = self._known()
            replies = await self._store.read(self.source, reads)
            states, fences = tuple(reply.states for reply in replies), tuple(reply.fences for reply in replies)
            for chunk, reply in zip(chunks, replies, strict=True):
                if chunk.group in self._written:
                    self._saw(chunk.group, reply.fences, known[chunk.group.name])
        return View(batch, chunks, states, fences, batch.offsets > self.predicted_to)

    def unread(self, batch: EventBatch) -> View:
        """A chunk without asking the store: fresh is what is not known to have been published; it serves no state's value."""
        return View(batch, self._chunks(batch), (), (), batch.offsets > self.predicted_to, degraded=True)

    def _chunks(self, batch: EventBatch) -> tuple[GroupChunk, ...]:
        groups = self._plan.groups if batch.event is self._plan.scored else self._written
        return tuple(group_chunk(self._plan, group, batch) for group in groups)

    def serve(self, view: View) -> Served:
        """The served vectors; only rows of fresh events mean anything."""
        if view.degraded:
            return _serve_unread(self._plan, view)
        pairs = zip(view.chunks, view.fences, strict=True)
        applies = [self._applies(chunk, view.batch, fences) for chunk, fences in pairs]
        return serve(self._plan, view.batch, view.chunks, view.states, applies)

    async def merge(self, view: View, last_offset: int) -> None:
        """Adds the chunk to the groups it feeds, once; `last_offset` is the chunk's last record, accepted or not.

        Every fresh event of the chunk must have been published and acknowledged before.
        """
        pending = [self._merge(chunk, view.batch, last_offset) for chunk in view.chunks if chunk.group in self._written]
        await self._merge_all([merge for merge in pending if merge.shards], view)
        self.predicted_to = max(self.predicted_to, last_offset)

    async def settle(self, offset: int) -> None:
        """Moves every fence up to `offset` - 1, so that `offset` may be committed: all before it must have been merged."""
        lagging = [
            Merge(
                namespace=self._plan.namespace(group),
                group=group,
                entities=NO_ENTITIES,
                deltas=np.empty((0, group.length)),
                shards=np.flatnonzero(self._fences[group.name] < offset - 1).tolist(),
                expected=self._fences[group.name].copy(),
                new=offset - 1,
            )
            for group in self._written
        ]
        await self._merge_all([merge for merge in lagging if merge.shards], None)

    def _applies(self, chunk: GroupChunk, batch: EventBatch, fences: Ints) -> Bools:
        """Which events the shard of their entity does not contain yet, by these fences."""
        if chunk.group not in self._written:
            return np.zeros(len(batch), dtype=np.bool_)
        writers = chunk.touch.writers
        shards = chunk.entities.shards[writers] if len(chunk.entities) else np.zeros(len(batch), dtype=np.int64)
        applies = np.asarray((writers >= 0) & (batch.offsets > fences[shards]))
        return applies if self._admits is None else applies & self._admits(chunk.group, batch)

    def _merge(self, chunk: GroupChunk, batch: EventBatch, new: int) -> Merge:
        fences = self._fences[chunk.group.name]
        applies = self._applies(chunk, batch, fences)
        rows = np.unique(chunk.touch.writers[applies])  # entities only read, or trimmed away, leave no trace in the store
        added, dropped = accumulated(chunk, batch.times, applies)
        entities = Entities([chunk.entities.ids[row] for row in rows.tolist()], chunk.entities.shards[rows])
        return Merge(
            namespace=self._plan.namespace(chunk.group),
            group=chunk.group,
            entities=entities,
            deltas=added[rows],
            shards=np.unique(entities.shards).tolist(),
            expected=fences.copy(),
            new=new,
            dropped=dropped,
        )

    async def _merge_all(self, merges: Sequence[Merge], view: View | None) -> None:
        """Merges; where a fence was higher than expected (another worker was here), trims the deltas and tries again."""
        while merges:
            known = self._known()
            replies = await self._store.merge(self.source, merges)
            again = []
            for merge, found in zip(merges, replies, strict=True):
                asked = np.array(merge.shards)
                done = asked[found[asked] == merge.expected[asked]]
                self._saw(merge.group, found, known[merge.group.name])
                self._advance(merge.group, done, merge.new)
                if len(done) < len(asked):
                    again.append(self._trimmed(merge, view))
            merges = [merge for merge in again if merge.shards]

    def _trimmed(self, merge: Merge, view: View | None) -> Merge:
        if view is not None:
            chunk = next(chunk for chunk in view.chunks if chunk.group is merge.group)
            return self._merge(chunk, view.batch, merge.new)
        fences = self._fences[merge.group.name]
        return Merge(
            merge.namespace, merge.group, NO_ENTITIES, merge.deltas,
            np.flatnonzero(fences < merge.new).tolist(), fences.copy(), merge.new,
        )  # fmt: skip

    def _known(self) -> dict[str, Ints]:
        """The fences as known when a request leaves. A commit's settling and a chunk's read may cross on the way."""
        return {name: fences.copy() for name, fences in self._fences.items()}

    def _saw(self, group: Group, found: Ints, known: Ints) -> None:
        """Takes in fences just read: higher ones are another's merges; lower than `known` when asked, the store lost some."""
        back = (found != UNREAD) & (found < known)
        if back.any():
            shard = int(np.flatnonzero(back)[0])
            raise StoreWentBackError(
                f"group {group.name}, shard {shard}: the fence of {self.source.topic}/{self.source.partition} is {found[shard]}, "
                f"this worker left it at {known[shard]}: the store lost data; restart this worker, which then merges it again"
            )
        self._advance(group, np.flatnonzero(found != UNREAD), found[found != UNREAD])

    def _advance(self, group: Group, shards: Ints, fences: Ints | int) -> None:
        own = self._fences[group.name]
        own[shards] = np.maximum(own[shards], fences)
        self.predicted_to = max(self.predicted_to, int(own.max()))


def _serve_unread(plan: FeaturePlan, view: View) -> Served:
    """Vectors of the event's own columns: every value from a state is missing, as of an entity without an id."""
    n = len(view.batch)
    nobody, nothing = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    chunks = [GroupChunk(c.group, NO_ENTITIES, Touch(nobody, nobody, c.touch.contributions)) for c in view.chunks]
    served = serve(plan, view.batch, chunks, [np.empty((0, c.group.length)) for c in chunks], [nothing] * len(chunks))
    missing = np.logical_or.reduce([nothing, *(c.touch.readers < 0 for c in view.chunks)])
    return replace(served, missing=missing)
