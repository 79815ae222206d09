"""What is counted of a window besides its features' values: flags, rejects, ages by group, and a sample of ids and times.

Everything is a count, a minimum, a maximum or a sample that depends on the set of events alone: parts of a window merge in any
order, and however the events were split, to the same bytes. What the counts mean is quality.py's and freshness.py's.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from monitors.event_sample import SIZE, EventSample
from monitors.metrics import AGE_BUCKETS

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BOUNDS = np.array(AGE_BUCKETS)


class _Stored(msgspec.Struct, array_like=True):
    """A tally as bytes: counts, then arrays."""

    numbers: list[int]
    between: tuple[float, float]
    rejects: dict[str, int]
    age_limits: list[float]
    older: list[int]
    youngest: bytes
    ages: bytes
    sample: bytes


class QualityTally:
    """Counts of one window. ``age_limits`` are the groups' declared limits in seconds, in the order of their ages.

    ``n`` events between ``first`` and ``last`` (event times, seconds; inf and -inf without any), of which ``late``, ``missing``
    and ``stale`` were flagged so; ``repeats`` rows dropped before; ``rejects`` records refused, by reason. By group (G,):
    ``ages`` int64 (G, len(AGE_BUCKETS) + 1) counts known ages, the last those above all bounds; ``older`` those above the group's
    limit; ``youngest`` float64, inf where no age is known.
    """

    def __init__(self, age_limits: Sequence[float], sample_size: int = SIZE) -> None:
        self.n = self.late = self.missing = self.stale = self.repeats = 0
        self.first, self.last = np.inf, -np.inf
        self.rejects: Counter[str] = Counter()
        self.age_limits = np.array(age_limits, dtype=np.float64)
        groups = len(self.age_limits)
        self.ages: Ints = np.zeros((groups, len(AGE_BUCKETS) + 1), dtype=np.int64)
        self.older: Ints = np.zeros(groups, dtype=np.int64)
        self.youngest: Floats = np.full(groups, np.inf)
        self.sample = EventSample(sample_size)

    def add(
        self,
        event_id_hashes: npt.NDArray[np.uint64],
        event_times: Floats,
        source_partitions: npt.NDArray[np.integer],
        source_offsets: npt.NDArray[np.integer],
        late: Bools,
        missing: Bools,
        stale: Bools,
        ages: Floats,
    ) -> None:
        """Counts events: arrays (n,), times in seconds, ages float64 (n, G) in seconds, NaN where the entity has no event."""
        n = len(event_times)
        if n == 0:
            return
        self.n += n
        self.first, self.last = min(self.first, float(event_times.min())), max(self.last, float(event_times.max()))
        self.late, self.missing, self.stale = (
            count + int(flags.sum()) for count, flags in ((self.late, late), (self.missing, missing), (self.stale, stale))
        )
        self.sample.add(event_id_hashes, source_partitions, source_offsets, event_times)
        places = np.searchsorted(_BOUNDS, ages) + np.arange(len(self.age_limits)) * self.ages.shape[1]
        counts = np.bincount(places[~np.isnan(ages)], minlength=self.ages.size)
        self.ages += counts.reshape(self.ages.shape)
        self.older += (ages > self.age_limits).sum(axis=0)
        self.youngest = np.fmin(self.youngest, np.fmin.reduce(ages, axis=0))  # passes over NaN

    def reject(self, reason: str, n: int = 1) -> None:
        """Counts records that were refused, by one of a few reasons."""
        self.rejects[reason] += n

    def repeat(self, n: int = 1) -> None:
        """Counts rows that were dropped because they had been counted."""
        self.repeats += n

    def merge(self, other: "QualityTally") -> None:
        """Adds what another tally of the same window counted; ValueError where it has other groups or limits."""
        if not np.array_equal(self.age_limits, other.age_limits):
            raise ValueError("tallies of different groups or age limits are not one window's")
        self.n, self.late, self.missing = self.n + other.n, self.late + other.late, self.missing + other.missing
        self.stale, self.repeats = self.stale + other.stale, self.repeats + other.repeats
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.rejects.update(other.rejects)
        self.ages += other.ages
        self.older += other.older
        np.minimum(self.youngest, other.youngest, out=self.youngest)
        self.sample.merge(other.sample)

    def to_bytes(self) -> bytes:
        """The same bytes for the same events, whatever the order they were added in."""
        stored = _Stored(
            numbers=[self.n, self.late, self.missing, self.stale, self.repeats],
            between=(self.first, self.last),
            rejects=dict(sorted(self.rejects.items())),
            age_limits=self.age_limits.tolist(),
            older=self.older.tolist(),
            youngest=self.youngest.tobytes(),
            ages=self.ages.tobytes(),
            sample=self.sample.to_bytes(),
        )
        return msgspec.msgpack.encode(stored)

    @classmethod
    def from_bytes(cls, data: bytes, sample_size: int = SIZE) -> "QualityTally":
        """What to_bytes wrote; msgspec.DecodeError for anything else."""
        stored = msgspec.msgpack.decode(data, type=_Stored)
        out = cls(stored.age_limits, sample_size)
        out.n, out.late, out.missing, out.stale, out.repeats = stored.numbers
        out.first, out.last = stored.between
        out.rejects = Counter(stored.rejects)
        out.older = np.array(stored.older, dtype=np.int64)
        out.youngest = np.frombuffer(stored.youngest).copy()
        out.ages = np.frombuffer(stored.ages, dtype=np.int64).reshape(out.ages.shape).copy()
        out.sample.load(stored.sample)
        return out
