"""One run of a backfill: what stands against it, and the merging. The rules are told in backfill.py."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time

import msgspec
import numpy as np

from featurestore.admission import Admission, Admits
from featurestore.events import Event, Source, contract
from featurestore.layout import Group
from featurestore.namespaces import Backfill, Namespace, Namespaces
from featurestore.parquet import facts, parts
from featurestore.personal import Pseudonyms
from featurestore.plan import FeaturePlan
from featurestore.session import Session
from featurestore.store import NEVER, Store
from scorer.pipeline import Pipeline
from streams.audit import fill_act, same_fill, write_act
from streams.chunk import TP
from streams.codec import Decoder
from streams.enrolment import parquet_source
from streams.errors import BackfillRefused
from streams.fill_watch import FillWatch
from streams.partition_reader import first_records, read_partition
from streams.settings import Settings
from streams.topic_facts import TopicFacts, group_of

CHUNK_EVENTS = 3_000  # over 16 shards some 200 states a script call; with a single one no more than block Redis for long
CLOSE_RECORDS = 10_000  # this near to the commits, a worker's own recovery is done in a second
ROUNDS = 20

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be filled: ``groups`` by name (none named: all), from ``folder`` of Parquet files (None: from Kafka).

    ``until`` is the cut, seconds since the epoch (None: just after each file's newest event).
    """

    groups: Sequence[str] = ()
    folder: Path | None = None
    until: float | None = None
    allow_gap: bool = False


@dataclass(slots=True)
class Report:
    """What became of it. ``events`` merged by topic; ``complete_from`` by group, where features lack what came before."""

    filled: list[str] = field(default_factory=list)
    complete: list[str] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=dict)
    complete_from: dict[str, float] = field(default_factory=dict)
    uncommitted: list[str] = field(default_factory=list)  # topics of which the workers have committed nothing yet


@dataclass(frozen=True, slots=True)
class Before:
    """What stands before a run: fills by namespace, how personal fields are hashed; and what may change meanwhile."""

    fills: Mapping[str, Backfill]
    pseudonyms: Pseudonyms | None
    watch: FillWatch


class Filling:
    """One run over one pipeline's groups."""

    def __init__(
        self,
        pipeline: Pipeline,
        plan: FeaturePlan,
        settings: Settings,
        request: Request,
        progress: Progress,
        store: Store,
        namespaces: Namespaces,
        topics: TopicFacts,
        before: Before,
    ) -> None:
        self._pipeline, self._plan, self._settings, self._request, self._progress = pipeline, plan, settings, request, progress
        self._store, self._namespaces, self._topics = store, namespaces, topics
        self._fills, self._pseudonyms, self._watch = before.fills, before.pseudonyms, before.watch
        self._report = Report()
        self._entries: dict[str, Namespace] = {}  # by group name

    async def run(self) -> Report:
        committed = await self._committed()
        await self._leave_complete_ones(committed)
        if not self._plan.reads:
            return self._report
        self._report.filled = [group.name for group in self._plan.groups]
        await self._enter(committed)
        if self._request.folder is not None:
            for event in self._events():
                await self._fill_from_file(self._request.folder, event)
        for _ in range(ROUNDS):
            await self._fill_from_kafka(committed)
            before, committed = committed, await self._committed()
            if sum((committed[tp] or 0) - (before.get(tp) or 0) for tp in committed) < CLOSE_RECORDS:
                break
        await self._watch.look_now(self._entries)
        for name, entry in self._entries.items():
            assert entry.backfill is not None
            await self._put(name, msgspec.structs.replace(entry.backfill, done=True))
            if entry.backfill.complete_from is not None:
                self._report.complete_from[name] = entry.backfill.complete_from
        return self._report

    def _events(self) -> list[type[Event]]:
        return list(dict.fromkeys(group.on.event for group in self._plan.groups))

    async def _committed(self) -> dict[TP, int | None]:
        """Where the serving workers stand in each partition that feeds a group. Asked before any fence, which only ever rises."""
        topics = list(dict.fromkeys(group.topic for group in self._plan.groups))
        tps = await asyncio.to_thread(self._topics.partitions, topics)
        absent = set(topics) - {tp.topic for tp in tps}
        if absent:
            raise BackfillRefused(
                f"there is no topic {', '.join(sorted(absent))} yet: workers create it when they start, and count from its first "
                f"event on (or is KAFKA_BOOTSTRAP_SERVERS another Kafka?)"
            )
        found = await asyncio.to_thread(self._topics.committed, group_of(self._pipeline.name), tps)
        stands = {tp.topic for tp, offset in found.items() if offset is not None}
        self._report.uncommitted = [topic for topic in topics if topic not in stands]
        return found

    async def _leave_complete_ones(self, committed: Mapping[TP, int | None]) -> None:
        """Takes the groups that lack nothing out of the plan."""
        entries, left = await self._namespaces.all(), []
        for reads in self._plan.reads:
            entry = entries.get(self._plan.namespace(reads.group))
            if entry is not None and self._looks_filled(entry) and not await self._lacks(entry, committed):
                self._check_cut(entry.name, entry.backfill)
                self._report.complete.append(reads.group.name)
            else:
                left.append(reads)
        self._plan = replace(self._plan, reads=tuple(left))

    def _looks_filled(self, entry: Namespace) -> bool:
        """Whether nothing says that something is missing, and the entry is the one that a file was merged under, if any was."""
        lost = entry.name in self._fills and not same_fill(self._fills[entry.name], entry.backfill)
        return not lost and (entry.backfill is None or entry.backfill.done)

    async def _lacks(self, entry: Namespace, committed: Mapping[TP, int | None]) -> bool:
        """Whether a fence is below what is committed, or a file's row is not merged."""
        for tp, offset in committed.items():
            if tp.topic == entry.topic and offset is not None:
                (fences,) = await self._store.fences([entry.name], Source(*tp))
                if int(fences.min()) < offset - 1:
                    return True
        if entry.backfill is None or entry.backfill.source != "parquet":
            return False
        (fences,) = await self._store.fences([entry.name], parquet_source(entry.topic))
        return int(fences.min()) < (entry.backfill.rows or 0) - 1

    async def _enter(self, committed: Mapping[TP, int | None]) -> None:
        """Enters the namespaces with how they are filled, before the first merge; refuses what would count an event twice."""
        ids = await asyncio.to_thread(self._topics.ids, {group.topic for group in self._plan.groups})
        wanted = {event: await self._wanted(event, committed) for event in self._events()}
        backfills = {group.name: self._as_known(group, wanted[group.on.event]) for group in self._plan.groups}
        key_id = None if self._pseudonyms is None else self._pseudonyms.key_id
        self._entries = await self._namespaces.register(self._plan, ids, time(), backfills, key_id)
        for name, entry in self._entries.items():
            if entry.backfill is None:  # a worker entered it before
                if backfills[name].source == "parquet":
                    await self._refuse_if_counted(entry, committed)
                await self._put(name, backfills[name])
            else:
                self._check_same(entry.name, entry.topic, entry.backfill, backfills[name])
                await self._put(name, msgspec.structs.replace(entry.backfill, done=False))
        for entry in self._entries.values():
            filled = entry.backfill
            if filled is not None and filled.source == "parquet" and not same_fill(filled, self._fills.get(entry.name)):
                act = fill_act(self._plan.pipeline, entry.name, filled)
                await asyncio.to_thread(write_act, self._settings.kafka, act)

    def _as_known(self, group: Group, wanted: Backfill) -> Backfill:
        """How a group is filled: as the audit topic says that it was begun, where Redis may have lost that."""
        name = self._plan.namespace(group)
        known = self._fills.get(name)
        if known is None:
            return wanted
        self._check_same(name, group.topic, known, wanted)
        return msgspec.structs.replace(known, complete_from=wanted.complete_from)

    async def _put(self, name: str, changed: Backfill) -> None:
        self._entries[name] = msgspec.structs.replace(self._entries[name], backfill=changed)
        await self._namespaces.put(self._entries[name])

    async def _wanted(self, event: type[Event], committed: Mapping[TP, int | None]) -> Backfill:
        """How this request fills the groups of an event."""
        folder = self._request.folder
        if folder is None:
            return Backfill(source="kafka")
        found = await asyncio.to_thread(facts, folder, event)
        cut = self._request.until if self._request.until is not None else math.nextafter(found.newest, math.inf)
        began = await self._began(event, committed)
        if began is not None and began > cut and not self._request.allow_gap:
            raise BackfillRefused(
                f"{contract(event).topic}: Kafka's events begin at {utc(began)}, the file's are used up to {utc(cut)}; what "
                f"lies between would be missing. Write a newer file (or a later --until), or accept it with --allow-gap"
            )
        gap = began if began is not None and began > cut else None
        return Backfill(source="parquet", cut=cut, rows=found.rows, digest=found.digest, complete_from=gap)

    async def _began(self, event: type[Event], committed: Mapping[TP, int | None]) -> float | None:
        """The event time from which on Kafka holds the topic's events; None where it holds none.

        A partition that lost its beginning counts from its oldest event; where none did, the topic counts from its oldest.
        """
        tps = [tp for tp in committed if tp.topic == contract(event).topic]
        firsts = await asyncio.to_thread(self._topics.firsts, tps)
        ends = await asyncio.to_thread(self._topics.ends, tps)
        decode = self._decoder(event)
        cropped: list[float] = []
        whole: list[float] = []
        for tp in tps:
            chunk = await first_records(self._settings.kafka, tp, firsts[tp], ends[tp])
            times = decode(chunk)[0].times if chunk else np.empty(0)
            if len(times):
                (cropped if firsts[tp] > 0 else whole).append(float(times.min()))
        return max(cropped) if cropped else min(whole, default=None)

    async def _refuse_if_counted(self, entry: Namespace, committed: Mapping[TP, int | None]) -> None:
        """A file may only come first: what was merged from Kafka without a cut may be in the file, too."""
        used = await self._namespaces.used([entry.name])
        for tp in committed:
            if tp.topic == entry.topic:
                (fences,) = await self._store.fences([entry.name], Source(*tp))
                if used or int(fences.max()) > NEVER:
                    raise BackfillRefused(
                        f"{entry.name} has counted events from Kafka, and the file may hold the same: stop the workers that "
                        f"use it, then tidegate features drop {entry.name}, and run this again"
                    )

    def _check_same(self, name: str, topic: str, before: Backfill, now: Backfill) -> None:
        """A namespace is filled in one way: from the same kind of source, with the same file and cut."""
        again = f"or begin anew: tidegate features drop {name}"
        if before.source != now.source:
            how = "--from FOLDER, the same folder" if before.source == "parquet" else "--from kafka"
            raise BackfillRefused(f"{name} is being filled from {before.source}: go on with {how}, {again}")
        if before.digest != now.digest:
            raise BackfillRefused(
                f"{name}: {topic}.parquet is not the file that it was begun with ({now.rows:,} rows now, "
                f"{before.rows:,} then): go on with that one, {again}"
            )
        self._check_cut(name, before)

    def _check_cut(self, name: str, before: Backfill | None) -> None:
        """The cut of a fill from a file stays as it was begun, also once it is done: another would count twice, or lose."""
        if self._request.until is not None and before is not None and before.cut not in (None, self._request.until):
            raise BackfillRefused(
                f"{name} was begun with --until {utc(before.cut)}: leave --until out, name the other groups by --group, "
                f"or begin anew: tidegate features drop {name}"
            )

    async def _fill_from_file(self, folder: Path, event: type[Event]) -> None:
        """Merges a file's events from before the cut, from the first row that a shard lacks."""
        topic = contract(event).topic
        ways = {(entry.backfill.rows or 0, entry.backfill.cut or 0.0) for entry in self._fed_by(topic) if entry.backfill}
        if len(ways) > 1:
            raise BackfillRefused(
                f"the groups fed by {topic} were begun with different --until: go on with one at a time, by --group"
            )
        rows, cut = ways.pop()
        session = Session(self._plan, self._store, parquet_source(topic), topic, self._admits({}))
        begin = await session.begin(rows, rows)
        if begin is None:
            return
        for batch, read, _ in parts(folder, event, last=cut, begin=begin, size=CHUNK_EVENTS, pseudonyms=self._pseudonyms):
            await self._watch.look(self._entries)
            await session.merge(await session.read(batch), read - 1)
            self._progress(f"{topic}.parquet", read, rows)
            self._count(topic, len(batch))
        await session.settle(rows)

    def _admits(self, cuts: Mapping[str, float]) -> Admits:
        """Asked at each merge, with whoever is forgotten by then."""
        return lambda group, batch: Admission(cuts, self._watch.erased)(group, batch)

    def _decoder(self, event: type[Event]) -> Decoder:
        return Decoder(event, self._pipeline.future_skew_seconds, self._pseudonyms)

    def _fed_by(self, topic: str) -> list[Namespace]:
        return [entry for entry in self._entries.values() if entry.topic == topic]

    async def _fill_from_kafka(self, committed: Mapping[TP, int | None]) -> None:
        for event in self._events():
            decode = self._decoder(event)
            tps = [tp for tp in committed if tp.topic == contract(event).topic]
            firsts = await asyncio.to_thread(self._topics.firsts, tps)
            ends = await asyncio.to_thread(self._topics.ends, tps)
            for tp in tps:
                if committed[tp] is not None:
                    await self._fill_partition(tp, decode, firsts[tp], min(committed[tp] or 0, ends[tp]), ends[tp])

    async def _fill_partition(self, tp: TP, decode: Decoder, first: int, end: int, log_end: int) -> None:
        """Merges what the groups lack of a partition, up to and without `end`."""
        cuts = {name: entry.backfill.cut for name, entry in self._entries.items() if entry.backfill and entry.backfill.cut}
        session = Session(self._plan, self._store, Source(*tp), admits=self._admits(cuts))
        start = await session.begin(end, log_end)
        if start is None:
            return
        if start < first:
            await self._say_incomplete(tp, decode, first, log_end)
            start = min(first, end)
            await session.settle(start)  # what is gone stays gone: the fences move past it
        origin = start
        async for chunk in read_partition(self._settings.kafka, tp, start, end, CHUNK_EVENTS):
            batch, _ = decode(chunk)
            await self._watch.look(self._entries)
            await session.merge(await session.read(batch), chunk.last_offset)
            self._progress(f"{tp.topic}/{tp.partition}", chunk.last_offset + 1 - origin, end - origin)
            self._count(tp.topic, len(batch))
        await session.settle(end)

    async def _say_incomplete(self, tp: TP, decode: Decoder, first: int, log_end: int) -> None:
        """Keeps from when on the features are complete: the time of the oldest event that Kafka still holds.

        Not where a file's cut is later than that: then the file has what Kafka lost.
        """
        chunk = await first_records(self._settings.kafka, tp, first, log_end)
        times = decode(chunk)[0].times if chunk else np.empty(0)
        begins = float(times.min()) if len(times) else time()
        for name, entry in self._entries.items():
            filled = entry.backfill
            if entry.topic == tp.topic and filled is not None and (filled.cut is None or begins > filled.cut):
                await self._put(name, msgspec.structs.replace(filled, complete_from=max(begins, filled.complete_from or 0.0)))

    def _count(self, topic: str, events: int) -> None:
        self._report.events[topic] = self._report.events.get(topic, 0) + events


def utc(seconds: float) -> str:
    """A moment for people; far ones as they are.

    >>> utc(1.5)
    '1970-01-01T00:00:01.500Z'
    """
    if not 0 <= seconds < 253_402_300_800:
        return f"{seconds:g}"
    return f"{np.datetime64(round(seconds * 1000), 'ms')}Z"
