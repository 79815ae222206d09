"""Reads the windows on ``<pipeline>.drift`` from the topic's end backwards, as far as is asked for and no further.

The monitor publishes a window's features and then its summary, so a window without a summary is still being written, or its
writer died and will write it again. What the records say is for streams.drift to show.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile
from math import inf

import msgspec

from streams.chunk import TP
from streams.errors import StreamError
from streams.monitor.records import DriftRecord, FeatureDrift, SkewReport, WindowSummary, decode_drift, drift_topic
from streams.partition_reader import read_partition
from streams.topic_facts import TopicFacts

log = logging.getLogger(__name__)

BLOCK_RECORDS = 1_000  # the first step back: 30 windows of 33 records, about 1.5 MB; it takes 20 ms
GROWTH = 4  # each further step is so many times as long: a week of records is reached in five steps
CHUNK_RECORDS = 2_000


@dataclass(frozen=True, slots=True)
class Window:
    """One window: its summary and its features, in the order in which the monitor wrote them."""

    summary: WindowSummary
    features: tuple[FeatureDrift, ...]


@dataclass(frozen=True, slots=True)
class DriftLog:
    """Whole windows, oldest first, at least one; and the newest skew report among the records read for them."""

    windows: tuple[Window, ...]
    skew: SkewReport | None

    @property
    def latest(self) -> Window:
        return self.windows[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which windows: the newest `count`, or as many up to the one named; none that ended `seconds` before the last of them."""

    count: int = 1
    seconds: float = inf
    window: str | None = None

    def of(self, windows: Sequence[Window]) -> Sequence[Window]:
        """Those wanted, of all that were read; none where the one named is not among them."""
        kept = self._upto(windows)[-self.count :]
        return [one for one in kept if one.summary.window_end >= kept[-1].summary.window_end - self.seconds]

    def enough(self, windows: Sequence[Window]) -> bool:
        """Whether no older window could be wanted."""
        kept = self._upto(windows)
        return len(kept) >= self.count or (bool(kept) and len(self.of(windows)) < len(kept))

    def _upto(self, windows: Sequence[Window]) -> Sequence[Window]:
        if self.window is None:
            return windows
        place = next((place for place, one in enumerate(windows) if one.summary.window == self.window), -1)
        return windows[: place + 1]


def read_windows(bootstrap_servers: str, pipeline: str, wanted: Wanted) -> DriftLog:
    """The windows wanted of a pipeline, as many as there are; at least one.

    Raises StreamError, with the command that helps, where there is no topic, no window yet, or none of the id wanted.
    """
    tp, facts = TP(drift_topic(pipeline), 0), TopicFacts(bootstrap_servers)
    if tp not in facts.partitions([tp.topic]):
        raise StreamError(f"there is no topic {tp.topic} yet: the monitor writes it; run: tidegate monitor PIPELINE")
    first, end = facts.firsts([tp])[tp], facts.ends([tp])[tp]
    records, windows = asyncio.run(_backwards(bootstrap_servers, tp, first, end, wanted))
    if not windows:
        raise StreamError(
            f"{tp.topic} has no whole window yet: the monitor writes one when enough events were served. "
            "Is it running? tidegate monitor PIPELINE"
        )
    if not (kept := wanted.of(windows)):
        held = f"from {windows[0].summary.window} to {windows[-1].summary.window}"
        raise StreamError(f"{tp.topic} has no window {wanted.window}; it holds those {held}")
    return DriftLog(tuple(kept), _newest_skew(records))


async def _backwards(
    bootstrap_servers: str, tp: TP, first: int, end: int, wanted: Wanted
) -> tuple[list[DriftRecord], Sequence[Window]]:
    """The log's last records, back to the oldest that is wanted, and the windows that are whole in them."""
    records: list[DriftRecord] = []
    length = BLOCK_RECORDS
    while True:
        start = max(first, end - length)
        records = await _block(bootstrap_servers, tp, start, end) + records
        windows = whole_windows(records, from_the_first=start == first)
        if start == first or wanted.enough(windows):
            return records, windows
        end, length = start, length * GROWTH


async def _block(bootstrap_servers: str, tp: TP, start: int, end: int) -> list[DriftRecord]:
    records: list[DriftRecord] = []
    async for chunk in read_partition(bootstrap_servers, tp, start, end, CHUNK_RECORDS):
        for record in chunk.records:
            try:
                records.append(decode_drift(record.value or b""))
            except msgspec.DecodeError as error:  # somebody else's record stops no command
                log.warning("%s/%s offset %s is no record of drift: %s", tp.topic, tp.partition, record.offset, error)
    return records


def whole_windows(records: Sequence[DriftRecord], from_the_first: bool) -> tuple[Window, ...]:
    """The windows that are whole in a stretch of the log, oldest first; of several records with one drift_id the first counts.

    Unless the stretch begins with the log's first record, what its first window has there may be an end alone, and is left out.
    """
    stretch = [record for record in records if not isinstance(record, SkewReport)]
    if not from_the_first and stretch:
        cut = stretch[0].window
        stretch = list(dropwhile(lambda record: record.window == cut, stretch))
    features: dict[str, dict[str, FeatureDrift]] = {}
    summaries: dict[str, WindowSummary] = {}
    for record in stretch:
        if isinstance(record, WindowSummary):
            summaries.setdefault(record.window, record)
        else:
            features.setdefault(record.window, {}).setdefault(record.drift_id, record)
    return tuple(Window(summary, tuple(features.get(name, {}).values())) for name, summary in summaries.items())


def _newest_skew(records: Sequence[DriftRecord]) -> SkewReport | None:
    return next((record for record in reversed(records) if isinstance(record, SkewReport)), None)
