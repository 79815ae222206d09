"""Which window a row belongs to, and when a window is complete. What is counted in it is the tallies' affair, see counts.py.

Windows are of one model version each: the reference that judges a row is that of the model that scored it. A window of events
takes the version's next rows in the order of arrival. A window of time takes rows by event time; it is complete when every
partition that still has records has passed its end by the lateness that is declared.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import numpy as np

from featurestore.events import Bools
from monitors.hashing import below, hash_strings
from streams.monitor.counts import Counts
from streams.monitor.rows import Rows

RATE_SECONDS = 10.0  # a batch of records has one timestamp: over less, a burst passes for a rate


@dataclass(slots=True)
class Window:
    """One window that is open. ``begun`` and ``touched``: windows opened before it, and before its last row."""

    id: str
    version: int
    begun: int
    touched: int
    share: float
    counts: Counts
    end: float | None = None  # of event time; None where it is a number of events


class Rate(msgspec.Struct):
    """Rows a second by the broker's clock: as of the last stretch that was measured, and the one that is being measured."""

    per_second: float = 0.0
    since: float | None = None
    rows: int = 0

    def note(self, rows: int, logged: float) -> None:
        """So many rows more, that were logged at this moment."""
        if self.since is None:
            self.since = logged
        if logged - self.since >= RATE_SECONDS:
            self.per_second, self.since, self.rows = self.rows / (logged - self.since), logged, 0
        self.rows += rows


@dataclass(slots=True)
class Windows:
    """The open windows of all versions. By their ``rates`` it is decided whether a new window is of a sample."""

    sample_above: float
    open: list[Window] = field(default_factory=list)
    rates: dict[int, Rate] = field(default_factory=dict)
    horizon: float = -np.inf  # windows of time that end before are complete
    opened: int = 0
    sampled_out: int = 0  # rows left out because others stand for them

    def of_events(self, version: int, size: int, rows: Rows, logged: float, empty: Callable[[], Counts]) -> Iterator[Window]:
        """Counts a version's rows; yields each window as it becomes full. ``empty`` makes the counts of a new one."""
        while len(rows):
            window = next((w for w in self.open if w.version == version and w.end is None), None)
            if window is None:
                first = f"v{version}:{rows.prediction_ids[0].as_py()}"
                window = self._begin(Window(first, version, self.opened, self.opened, self._share(version), empty()))
            if window.counts.n >= size:  # windows have become smaller
                yield self._close(window)
                continue
            kept = sampled(rows, window.share)
            places = np.flatnonzero(kept)
            room = size - window.counts.n
            taken = int(places[room - 1]) + 1 if len(places) >= room else len(rows)
            self._count(window, rows.take(slice(0, taken)), kept[:taken], logged)
            rows = rows.take(slice(taken, len(rows)))
            if window.counts.n >= size:
                yield self._close(window)
                yield from self.forgotten(window)

    def of_time(self, version: int, seconds: float, rows: Rows, logged: float, empty: Callable[[], Counts]) -> int:
        """Counts a version's rows; returns how many came too late for their window."""
        numbers = np.floor(rows.times / seconds).astype(np.int64)
        late = 0
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            end = (number + 1) * seconds
            if end <= self.horizon:
                late += int(mine.sum())
                continue
            window = next((w for w in self.open if w.version == version and w.end == end), None)
            if window is None:
                begin = datetime.fromtimestamp(end - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                share = self._share(version)
                window = self._begin(Window(f"v{version}:{begin}", version, self.opened, self.opened, share, empty(), end))
            part = rows.take(mine)
            self._count(window, part, sampled(part, window.share), logged)
        return late

    def passed(self, watermark: float) -> Iterator[Window]:
        """The windows of time that end at the watermark or before, oldest first; they are closed."""
        if watermark > self.horizon:
            self.horizon = watermark
            done = [window for window in self.open if window.end is not None and window.end <= watermark]
            for window in sorted(done, key=lambda window: (window.end or 0.0, window.version)):
                yield self._close(window)

    def forgotten(self, after: Window) -> Iterator[Window]:
        """Windows of events of other versions that got no row since `after` was begun: their model serves no longer."""
        for window in [w for w in self.open if w.end is None and w.version != after.version and w.touched < after.begun]:
            yield self._close(window)

    def of_another_kind(self, seconds: float | None) -> Iterator[Window]:
        """Windows that were begun when windows of events were declared, or of time, and the other is declared now."""
        for window in [w for w in self.open if (w.end is None) != (seconds is None)]:
            yield self._close(window)

    def _begin(self, window: Window) -> Window:
        self.opened += 1
        self.open.append(window)
        return window

    def _count(self, window: Window, rows: Rows, kept: Bools, logged: float) -> None:
        window.touched = self.opened
        self.rates.setdefault(window.version, Rate()).note(len(rows), logged)
        self.sampled_out += len(rows) - int(kept.sum())
        window.counts.add(rows if kept.all() else rows.take(kept))

    def _close(self, window: Window) -> Window:
        self.open.remove(window)
        return window

    def _share(self, version: int) -> float:
        rate = self.rates.get(version, Rate()).per_second
        return 1.0 if rate <= self.sample_above else round(self.sample_above / rate, 3)


def sampled(rows: Rows, share: float) -> Bools:
    """Which rows stand for all, bool (n,): by a hash of their prediction ids, so that a repetition decides the same."""
    return np.ones(len(rows), dtype=np.bool_) if share >= 1.0 else below(hash_strings(rows.prediction_ids), share)
