"""What the owner counts: rows into windows, complete windows into records. Kafka and Redis are left to owner.py.

Every record is counted with its position in one step, between two awaits: whenever the checkpoint is written, positions and
counts belong together.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec
import numpy as np

from featurestore.definitions import seconds
from featurestore.events import contract
from featurestore.plan import FeaturePlan
from monitors.monitor_metrics import MonitorMetrics
from scorer.errors import RegistryError
from scorer.pipeline import Pipeline
from streams.chunk import TP, Chunk, Record
from streams.monitor.closing import Closing, breaches, entry
from streams.monitor.counts import Counts
from streams.monitor.references import References
from streams.monitor.refusals import refusal
from streams.monitor.rows import NO_MODEL, Rows, UnreadableRows, decode_rows
from streams.monitor.seen import Seen
from streams.monitor.state import STATE, Pending, State, StoredWindow, decode_state, encode_state
from streams.monitor.telling import tell
from streams.monitor.windows import Window, Windows
from streams.outputs import TopicNames
from streams.records import DeadLetter

log = logging.getLogger(__name__)

DEFAULT_WINDOW_EVENTS = 1_000  # where a version has no reference that says how many
AHEAD_SECONDS = 86_400.0  # workers refuse events that are minutes ahead of their record; a day is somebody else's doing
YIELD_ROWS = 5_000  # some 20 ms of work: heartbeats and pages get their turn

CaughtUp = Callable[[TP, int], bool]  # whether nothing lies behind a position


class Watching:
    """All that one owner of a pipeline's monitoring knows; begun from a checkpoint's fields, empty at first."""

    def __init__(
        self,
        pipeline: Pipeline,
        plan: FeaturePlan,
        references: References,
        metrics: MonitorMetrics,
        fields: Mapping[bytes, bytes],
    ) -> None:
        self.state = decode_state(fields[STATE], pipeline.name) if STATE in fields else State()
        self.changed = False
        self._declared, self._references, self._metrics = pipeline.monitoring, references, metrics
        self._features, self._source = TopicNames.of(pipeline.name).features, contract(pipeline.score).topic
        self._limits = {group.name: self._declared.feed_age_seconds(group.name) for group in plan.groups}
        self._seen = Seen(self.state.seen)
        self._closing = Closing(pipeline, references, self.state.memory, fields)
        self._windows = Windows(self._declared.sample_above, rates=self.state.rates, horizon=self.state.horizon)
        self._windows.opened = self.state.opened
        self._letters = msgspec.json.Decoder(DeadLetter)

    # -- positions

    def position(self, tp: TP, committed: int | None) -> int | None:
        """The next offset to be read; where nothing was ever counted, what the group committed."""
        return self.state.offsets.get(_name(tp), committed)

    def replaced(self, ids: Mapping[str, str]) -> None:
        """Forgets what was said of topics that were created anew: positions in them, and which of their events were seen."""
        for topic, known in self.state.topic_ids.items():
            if topic in ids and ids[topic] != known:
                log.warning("%s was created anew: the monitor begins with its first record", topic)
                self.state.offsets = {k: v for k, v in self.state.offsets.items() if not k.startswith(f"{topic}/")}
                if topic == self._source:
                    self._seen = Seen()
        self.state.topic_ids = dict(ids)

    async def begin(self, starts: Mapping[TP, int]) -> None:
        """These are all the partitions there are, and where they are read on. Opens the checkpoint's windows again.

        RegistryError where the reference that they were counted by cannot be had now. A window whose reference is gone for good,
        another one being in its place, is closed, and says so.
        """
        for held in self.state.windows:
            await self._references.ensure(held.version)
            window = reopened(held, self._references)
            if held.counts.reference is not None and window.counts.reference is None:
                self._close([window])
            else:
                self._windows.open.append(window)
        self._tell_breaches()
        self.state.offsets = {_name(tp): offset for tp, offset in starts.items()}
        self.state.times = {name: time for name, time in self.state.times.items() if name in self.state.offsets}
        self._partitions = [tp for tp in starts if tp.topic == self._features]
        self._close(self._windows.of_another_kind(self._declared.window_seconds))
        self.changed = True

    # -- records

    async def take(self, chunk: Chunk, caught_up: CaughtUp) -> None:
        """Counts a chunk's records; what is judged meanwhile is in the outbox."""
        counted = 0
        for record in chunk.records:
            if record.offset < self.state.offsets.get(_name(chunk.tp), 0):
                continue
            if chunk.topic == self._features:
                counted += await self._take_rows(chunk.tp, record)
            else:
                self._take_letter(record)
            self.state.offsets[_name(chunk.tp)] = record.offset + 1
            self.changed = True
            if counted > YIELD_ROWS:
                counted = 0
                await asyncio.sleep(0)
        if chunk.topic == self._features:
            self._close(self._windows.passed(self._watermark(caught_up)))

    async def _take_rows(self, tp: TP, record: Record) -> int:
        try:
            rows = decode_rows(record.value or b"")
        except UnreadableRows as error:
            log.warning("%s[%d] offset %d holds no served vectors (%s): left out", *tp, record.offset, error)
            self._metrics.rows({"unreadable": 1})
            return 0
        versions = np.unique(rows.versions).tolist()
        for version in versions:
            if version != NO_MODEL:
                await self._references.ensure(version)
        self._count(tp, rows, versions, record.timestamp / 1000)
        return len(rows)

    def _count(self, tp: TP, rows: Rows, versions: Iterable[int], logged: float) -> None:
        state = self.state
        sane = (rows.times >= 0) & (rows.times < logged + AHEAD_SECONDS)
        if not sane.all():
            self._metrics.rows({"unreadable": len(rows) - int(sane.sum())})
            rows = rows.take(sane)
        if not len(rows):
            return
        # No further than the broker's clock: one producer's clock that is ahead must not end everybody's windows.
        newest = min(float(rows.times.max()), logged)
        state.times[_name(tp)] = max(state.times.get(_name(tp), -np.inf), newest)
        fresh = self._seen.fresh(rows.partitions, rows.offsets)
        if not fresh.all():
            repeats = len(rows) - int(fresh.sum())
            state.pending.repeats += repeats
            self._metrics.rows({"repeated": repeats})
            rows = rows.take(fresh)
        for version in versions:
            mine = rows.versions == version
            part = rows if mine.all() else rows.take(mine)
            if version == NO_MODEL:
                self._metrics.rows({"no_model": len(part)})
            elif len(part):
                self._count_version(version, part, logged)

    def _count_version(self, version: int, rows: Rows, logged: float) -> None:
        reference = self._references.found.get(version)
        empty = partial(Counts.empty, reference, self._limits)
        length = self._declared.window_seconds
        late, left_out = 0, self._windows.sampled_out
        if length is None:
            size = self._declared.window_events or (reference and reference.profile.window_events) or DEFAULT_WINDOW_EVENTS
            self._close(self._windows.of_events(version, size, rows, logged, empty))
        else:
            late = self._windows.of_time(version, length, rows, logged, empty)
            self.state.pending.late += late
        self._metrics.rows({"late": late})
        left_out = self._windows.sampled_out - left_out
        self._metrics.rows({"sampled_out": left_out})
        self._metrics.rows({"counted" if reference else "no_reference": len(rows) - late - left_out})

    def _take_letter(self, record: Record) -> None:
        try:
            letter = self._letters.decode(record.value or b"")
        except msgspec.DecodeError:
            return
        rejects, kind = self.state.pending.rejects, refusal(letter)
        rejects[kind] = rejects.get(kind, 0) + 1

    # -- windows

    def _watermark(self, caught_up: CaughtUp) -> float:
        """Event time that every partition with records left has passed, less the lateness declared."""
        times, offsets = self.state.times, self.state.offsets
        waiting = [times.get(_name(tp), -np.inf) for tp in self._partitions if not caught_up(tp, offsets.get(_name(tp), 0))]
        passed = min(waiting) if waiting else max(times.values(), default=-np.inf)
        return passed - seconds(self._declared.lateness)

    def _close(self, windows: Iterable[Window]) -> None:
        for window in windows:
            pending, self.state.pending = self.state.pending, Pending()
            records = self._closing.judged(window, pending)
            tell(self._metrics, records, time.time())
            self.state.breaches = breaches(self.state.breaches, records, self._declared.minimum_events)
            self._tell_breaches()
            self.state.outbox += [entry(record) for record in records]
            self.changed = True

    def _tell_breaches(self) -> None:
        self._metrics.breaches(None if self._declared.decision_band is None else self.state.breaches)

    # -- the checkpoint

    def fields(self) -> dict[bytes, bytes]:
        """What must be found again, as of now; the seasons' fields only where they changed since the last call."""
        state, windows = self.state, self._windows
        state.seen = self._seen.as_lists()
        state.rates, state.horizon, state.opened = windows.rates, windows.horizon, windows.opened
        state.windows = [stored(window) for window in windows.open]
        self.changed = False
        return {STATE: encode_state(state), **self._closing.changed_fields()}

    def delivered(self, n: int) -> None:
        """The first n entries of the outbox are published."""
        del self.state.outbox[:n]
        self.changed = True


def _name(tp: TP) -> str:
    return f"{tp.topic}/{tp.partition}"


def stored(window: Window) -> StoredWindow:
    counts = window.counts.stored()
    return StoredWindow(window.id, window.version, window.begun, window.touched, window.share, window.end, counts)


def reopened(held: StoredWindow, references: References) -> Window:
    """The window again, without its tally where another reference has taken the place of the one that it was counted by."""
    wanted, found = held.counts.reference, references.found.get(held.version)
    if wanted is not None and found is None:
        raise RegistryError(f"window {held.id} needs its reference, and {references.why[held.version]}")
    reference = found if found is not None and found.id == wanted else None
    return Window(held.id, held.version, held.begun, held.touched, held.share, Counts.opened(held.counts, reference), held.end)
