"""Exact counts of one window: whole numbers, least and greatest. Any split of the events, in any order, merges to the same.

Which events belong to a window, and which of them were counted before, is left to the caller.
"""

from dataclasses import dataclass

import msgspec
import numpy as np

from monitors.drift.bins import Categories
from monitors.drift.profile import FeatureProfile, Profile
from monitors.drift.statistics import Counts, Floats

_WIDTHS = ("<u1", "<u2", "<u4", "<u8")  # counts are written in the fewest bytes that hold the greatest


class _Written(msgspec.Struct, frozen=True, array_like=True):
    """A tally in bytes: ``counts`` are bins, below, above and unseen after one another."""

    n: int
    features: int
    width: int
    type: str
    counts: bytes
    extremes: bytes


@dataclass(slots=True, eq=False)
class Tally:
    """Counts of ``n`` events over F features: ``bins`` (F, W), rows of features with fewer bins padded with 0.

    ``below`` and ``above`` (F,) the reference's extremes (numbers), ``unseen`` (F,) of codes that the reference does not have
    (categories), ``lowest`` and ``highest`` (F,) values, inf and -inf where there is none.
    """

    n: int
    bins: Counts
    below: Counts
    above: Counts
    unseen: Counts
    lowest: Floats
    highest: Floats

    @classmethod
    def empty(cls, profile: Profile) -> "Tally":
        features = len(profile.features)
        zeros = np.zeros((3, features), dtype=np.int64)
        bins = np.zeros((features, profile.width), dtype=np.int64)
        return cls(0, bins, zeros[0], zeros[1], zeros[2], np.full(features, np.inf), np.full(features, -np.inf))

    def merge(self, other: "Tally") -> None:
        """Adds another's events; both of one profile."""
        self.n += other.n
        for mine, others in zip(self._counts, other._counts, strict=True):
            mine += others
        np.minimum(self.lowest, other.lowest, out=self.lowest)
        np.maximum(self.highest, other.highest, out=self.highest)

    @property
    def _counts(self) -> tuple[Counts, ...]:
        return self.bins, self.below, self.above, self.unseen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Equal tallies have equal bytes: some 400 for 30 features and a window of 1,000 events."""
        counts = np.concatenate([one.ravel() for one in self._counts])
        width = next(one for one in _WIDTHS if counts.max(initial=0) <= np.iinfo(one).max)
        extremes = np.concatenate([self.lowest, self.highest]).astype("<f8").tobytes()
        written = _Written(self.n, self.bins.shape[0], self.bins.shape[1], width, counts.astype(width).tobytes(), extremes)
        return msgspec.msgpack.encode(written)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Tally":
        """The tally that ``to_bytes`` wrote; msgspec.DecodeError or ValueError for anything else."""
        read = msgspec.msgpack.decode(data, type=_Written)
        counts = np.frombuffer(read.counts, dtype=read.type).astype(np.int64)
        bins, rest = np.split(counts, [read.features * read.width])
        below, above, unseen = rest.reshape(3, read.features)
        lowest, highest = np.frombuffer(read.extremes, dtype="<f8").astype(np.float64).reshape(2, read.features)
        return cls(read.n, bins.reshape(read.features, read.width), below, above, unseen, lowest.copy(), highest.copy())


class Binner:
    """Counts rows into tallies of one profile. Takes a microsecond a row of 30 features."""

    def __init__(self, profile: Profile) -> None:
        self._width = profile.width
        self._features = [_binning(feature) for feature in profile.features]
        numbers = [feature.lowest is not None for feature in profile.features]
        self._lowest = _column([f.lowest if known else -np.inf for f, known in zip(profile.features, numbers, strict=True)])
        self._highest = _column([f.highest if known else np.inf for f, known in zip(profile.features, numbers, strict=True)])

    def add(self, tally: Tally, matrix: Floats) -> None:
        """Counts the rows of ``matrix`` (n, F), NaN missing."""
        if not len(matrix):
            return
        columns = np.ascontiguousarray(matrix.T)
        places = np.empty(columns.shape, dtype=np.int64)
        for i, (binning, values) in enumerate(zip(self._features, columns, strict=True)):
            if isinstance(binning, Categories):
                places[i], unseen = binning.find(values)
                tally.unseen[i] += unseen
            else:
                places[i] = binning.searchsorted(values)
            places[i] += i * self._width
        tally.n += len(matrix)
        tally.bins += np.bincount(places.ravel(), minlength=tally.bins.size).reshape(tally.bins.shape)
        self._extremes(tally, columns)

    def _extremes(self, tally: Tally, columns: Floats) -> None:
        lowest = np.fmin.reduce(columns, axis=1, initial=np.inf)
        highest = np.fmax.reduce(columns, axis=1, initial=-np.inf)
        if (lowest < self._lowest[:, 0]).any():
            tally.below += np.count_nonzero(columns < self._lowest, axis=1)
        if (highest > self._highest[:, 0]).any():
            tally.above += np.count_nonzero(columns > self._highest, axis=1)
        # -0.0 + 0.0 is 0.0: which of the two zeros came first must not be seen in the bytes.
        np.minimum(tally.lowest, lowest + 0.0, out=tally.lowest)
        np.maximum(tally.highest, highest + 0.0, out=tally.highest)


def _binning(feature: FeatureProfile) -> Categories | Floats:
    """How values find their bins. With inf after the edges, NaN, which sorts last, finds the bin after all others."""
    if feature.kind == "category":
        return Categories(feature.codes, feature.seen)
    return np.array([*feature.edges, np.inf])


def _column(values: list[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)[:, None]
