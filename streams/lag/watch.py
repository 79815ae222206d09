"""Looks at a cluster's groups again and again: what Kafka tells becomes a Snapshot, with verdicts from a ring of looks.

All state is here and in memory: histories, the heads of partitions whose committed offset stands, the last snapshot. A group,
topic or partition that Kafka says is gone is forgotten at once; one that Kafka did not tell of keeps its last values for
KEPT_LOOKS looks. When to look, and who is shown what was seen, is left to streams/lag/running.py.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from monitors.lag import WINDOW_SECONDS, History, Observation, observe
from monitors.lag_snapshot import PartitionLag, Snapshot, badness
from streams.chunk import TP
from streams.errors import TopicError
from streams.lag import groups, logs
from streams.lag.connection import PASSING, Connection
from streams.lag.groups import Answered, Group
from streams.lag.heads import Head, heads
from streams.lag.logs import Log, TopicSettings
from streams.lag.standing import judged, standing

KEPT_LOOKS = 3  # one or two are a broker's restart
LOOK_SECONDS = 60.0  # a look that takes longer is given up
SETTINGS_SECONDS = 60.0  # a topic's retention changes seldom
GAP_INTERVALS = 3  # after so long without a look nothing is concluded from an offset that stood: the group may have had no Kafka
Where = tuple[str, str, int]


class Watcher:
    """Watches the groups that `patterns` name, looking about every `interval_seconds`. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        bootstrap_servers: str,
        patterns: Sequence[str] = (),
        interval_seconds: float = 6.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._servers, self._clock = bootstrap_servers, clock
        self._wanted = groups.chosen(patterns)
        self._gap_seconds = GAP_INTERVALS * interval_seconds
        self._window_seconds = max(WINDOW_SECONDS, 2 * interval_seconds)
        self._connection: Connection | None = None
        self._histories: dict[Where, History] = {}
        self._heads: dict[tuple[TP, int], Head] = {}
        self._ends: dict[TP, int] = {}
        self._settings: dict[str, TopicSettings] = {}
        self._settings_at = 0.0
        self.snapshot = Snapshot()
        self.error: str | None = "no look yet"

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def look(self, hasty_seconds: float | None = None) -> Snapshot:
        """One look; `snapshot` and `error` say what came of it. `hasty_seconds` shortens the window where old records wait."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found, answered, unread = await self._ask(hasty_seconds)
        except (TopicError, *PASSING) as error:
            await self.close()  # the next look connects anew
            self.error = str(error) or "Kafka did not answer in time"
            found, answered, unread = [], Answered(whole=False), set()
        else:
            whole = answered.whole and not answered.unanswered and not unread
            self.error = None if whole else "Kafka did not answer for some brokers, groups or partitions"
        complete = self.error is None
        rows = [*found, *self._carried(answered, unread)]
        self._histories = {one.where: self._histories[one.where] for one in rows if one.where in self._histories}
        self.snapshot = Snapshot(
            tuple(sorted(rows, key=badness)),
            {topic: self._settings.get(topic, TopicSettings()).producer_time for topic in sorted({one.topic for one in rows})},
            len({one.group for one in rows}),
            self._clock() if complete else self.snapshot.complete_at,
            time.perf_counter() - began,
            0 if complete else self.snapshot.failed_looks + 1,
            self.snapshot.looks + 1,
        )
        return self.snapshot

    async def _ask(self, hasty_seconds: float | None) -> tuple[list[PartitionLag], Answered, set[Where]]:
        """What is there now, and the partitions that are there and whose leader did not answer."""
        connection = await self._connected()
        answered = await groups.ask(connection, self._wanted, self._clock)
        topics = connection.topics()
        watched = {name: _watched(group, topics) for name, group in answered.groups.items()}
        tps = {tp for ones in watched.values() for tp in ones}
        ends = await logs.logs(connection, tps)
        self._forget_recreated(ends)
        await self._read_settings(connection, {tp.topic for tp in tps})
        await self._read_heads(connection, answered.groups.values(), ends)
        found, unread = [], set()
        for name, ones in watched.items():
            for tp in ones:
                if tp in ends:
                    found.append(self._row(name, answered.groups[name], tp, ends[tp], hasty_seconds))
                else:
                    unread.add((name, *tp))
        return found, answered, unread

    async def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = await Connection.open(self._servers)
        else:
            await self._connection.refresh()
        return self._connection

    def _forget_recreated(self, found: dict[TP, Log]) -> None:
        """A log that ends before where it ended is another: the topic was created anew, or records that were known are lost."""
        shrunk = {tp for tp, log in found.items() if log.end < self._ends.get(tp, 0)}
        self._heads = {key: head for key, head in self._heads.items() if key[0] not in shrunk}
        self._histories = {where: one for where, one in self._histories.items() if TP(*where[1:]) not in shrunk}
        self._ends = {tp: log.end for tp, log in found.items()}

    async def _read_settings(self, connection: Connection, topics: set[str]) -> None:
        """A topic that is new is asked for at once."""
        now = self._clock()
        asked = topics if now - self._settings_at > SETTINGS_SECONDS else topics - self._settings.keys()
        if asked == topics:
            self._settings_at = now
        known = {topic: self._settings[topic] for topic in topics & self._settings.keys()}
        told = await logs.settings(connection, sorted(asked))
        self._settings = known | {topic: TopicSettings() for topic in topics - known.keys()} | told

    async def _read_heads(self, connection: Connection, found: Iterable[Group], ends: dict[TP, Log]) -> None:
        """Of each offset at which a group stands and lags: read once, and again only where there were but markers."""
        wanted = {(tp, max(offset, ends[tp].start)) for g in found for tp, offset in g.committed.items() if tp in ends}
        wanted = {(tp, offset) for tp, offset in wanted if offset < ends[tp].end}
        self._heads = {key: head for key, head in self._heads.items() if key in wanted}
        asked = {key: self._heads.get(key) for key in wanted}
        missing = [
            (key, head) for key, head in asked.items() if head is None or not (head.waits or head.until >= ends[key[0]].end)
        ]
        for part in _one_offset_a_partition(missing):
            searched = {tp: (max(offset, head.until if head else 0), ends[tp].end) for (tp, offset), head in part.items()}
            told = await heads(connection, searched)
            self._heads |= {(tp, offset): told[tp] for tp, offset in part if tp in told}

    def _row(self, name: str, group: Group, tp: TP, log: Log, hasty_seconds: float | None) -> PartitionLag:
        committed = group.committed.get(tp)
        head = self._heads.get((tp, max(committed, log.start))) if committed is not None else None
        row = standing(name, tp, group.at, committed, log, head, self._settings[tp.topic])
        history = self._histories.get(row.where, ())
        if history and group.at - history[-1].until > self._gap_seconds:
            history = ()
        at = None if row.lag_records is None else committed
        history = self._histories[row.where] = observe(history, Observation(group.at, at, row.lag_records or 0))
        old = (row.lag_seconds or 0.0) >= self._window_seconds
        window = hasty_seconds if hasty_seconds is not None and old else self._window_seconds
        return judged(row, history, owned=group.members.owns(tp), window_seconds=window)

    def _carried(self, answered: Answered, unread: set[Where]) -> Iterator[PartitionLag]:
        """The last values of what is there and was not told of now."""
        for one in self.snapshot.partitions:
            absent = not answered.whole and one.group not in answered.groups
            if (absent or one.group in answered.unanswered or one.where in unread) and one.looks_ago < KEPT_LOOKS:
                yield msgspec.structs.replace(one, looks_ago=one.looks_ago + 1)


def _watched(group: Group, topics: Mapping[str, Sequence[int]]) -> set[TP]:
    """Every partition of the topics that a group commits, and all that its members have: one may not be committed yet."""
    names = {tp.topic for tp in group.committed}
    owned = {tp for tp in group.members.owned or () if tp.partition in topics.get(tp.topic, ())}
    return {TP(name, p) for name in names for p in topics.get(name, ())} | owned


def _one_offset_a_partition(missing: Iterable[tuple[tuple[TP, int], Head | None]]) -> list[dict[tuple[TP, int], Head | None]]:
    """Groups of one topic stand at different offsets, and a request has each partition once."""
    parts: list[dict[tuple[TP, int], Head | None]] = []
    counts: dict[TP, int] = {}
    for (tp, offset), head in missing:
        turn = counts[tp] = counts.get(tp, -1) + 1
        if turn == len(parts):
            parts.append({})
        parts[turn][tp, offset] = head
    return parts
