"""A sample of a window's events in bounded memory: those with the smallest hashes of their ids, each with its time and place.

Which events are in it is a function of the set of events alone, so parts merge in any order to the same bytes. An event is in it
with all its repetitions or with none, so the share of repetitions in the sample is that of the window (bottom-k sampling with
counts: Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007); up to ``size`` distinct ids it is exact.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

# An id's hash, how often it came, and of its first place (by partition and offset) the event time in seconds. 32 bytes.
ROW = np.dtype([("hash", "<u8"), ("count", "<u4"), ("partition", "<i4"), ("offset", "<i8"), ("time", "<f8")])
Rows = npt.NDArray[np.void]

# 1 % of repetitions is then known to 0.16 % (one standard deviation), and the sample takes 131,072 bytes at most.
SIZE = 4_096


class EventSample:
    """The events with the ``size`` smallest hashes of their ids."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._kept: Rows = np.empty(0, dtype=ROW)
        self._waiting: list[Rows] = []
        self._waiting_rows = 0
        self._limit: np.uint64 | None = None  # the largest hash kept, once there are `size` of them

    def add(
        self,
        hashes: npt.NDArray[np.uint64],
        partitions: npt.NDArray[np.integer],
        offsets: npt.NDArray[np.integer],
        times: npt.NDArray[np.float64],
    ) -> None:
        """Adds events, (n,) each; those that cannot be in the sample are left out at once."""
        chosen = slice(None) if self._limit is None else np.flatnonzero(hashes <= self._limit)
        hashes = hashes[chosen]
        rows = np.empty(len(hashes), dtype=ROW)
        rows["hash"], rows["count"], rows["time"] = hashes, 1, times[chosen]
        rows["partition"], rows["offset"] = partitions[chosen], offsets[chosen]
        self._wait(rows)

    def merge(self, other: "EventSample") -> None:
        self._wait(other.rows())

    def _wait(self, rows: Rows) -> None:
        """Sorting many rows at once costs less than each batch's."""
        if len(rows):
            self._waiting.append(rows)
            self._waiting_rows += len(rows)
        if self._waiting_rows >= self._size:
            self.rows()

    def rows(self) -> Rows:
        """The sample, in order of hashes: each id once, with how often it came."""
        if self._waiting:
            self._kept = _smallest(np.concatenate([self._kept, *self._waiting]), self._size)
            self._waiting, self._waiting_rows = [], 0
            if len(self._kept) == self._size:
                self._limit = self._kept["hash"][-1]
        return self._kept

    def to_bytes(self) -> bytes:
        return self.rows().tobytes()

    def load(self, data: bytes) -> None:
        """Adds what to_bytes gave."""
        self._wait(np.frombuffer(data, dtype=ROW))

    def repetitions(self) -> tuple[int, int]:
        """How many of the sampled events repeat an id, and how many events are sampled."""
        rows = self.rows()
        events = int(rows["count"].sum())
        return events - len(rows), events

    def misplaced(self, lateness_seconds: float) -> tuple[int, int]:
        """How many sampled ids have an event time out of order by more than the lateness, and how many ids are sampled.

        Within a partition, by offset: an event is behind if an earlier one has a time that much later, ahead if a later one has a
        time that much earlier. One clock that is wrong makes one event ahead and many behind, or one behind and many ahead: what
        counts is the smaller number of the two, partition by partition.
        """
        rows = self.rows()
        rows = rows[np.lexsort((rows["offset"], rows["partition"]))]
        bounds = [0, *(np.flatnonzero(np.diff(rows["partition"])) + 1).tolist(), len(rows)]
        return sum(_misplaced(rows["time"][first:last], lateness_seconds) for first, last in pairwise(bounds)), len(rows)


def _misplaced(times: npt.NDArray[np.float64], lateness_seconds: float) -> int:
    newest_before = np.maximum.accumulate(times)
    oldest_after = np.minimum.accumulate(times[::-1])[::-1]
    behind, ahead = times < newest_before - lateness_seconds, times > oldest_after + lateness_seconds
    return min(int(behind.sum()), int(ahead.sum()))


def _smallest(rows: Rows, size: int) -> Rows:
    """The `size` smallest hashes, each once: counts added up, of the others the first by (partition, offset)."""
    rows = rows[np.argsort(rows["hash"])]
    firsts = np.flatnonzero(np.r_[True, np.diff(rows["hash"]) != 0])
    if len(firsts) < len(rows):
        rows = rows[np.lexsort((rows["offset"], rows["partition"], rows["hash"]))]
        counts = np.add.reduceat(rows["count"], firsts)
        rows = rows[firsts]
        rows["count"] = counts
    return rows[:size].copy()
