"""What is counted in one window: the tally of every feature, and that of data quality.

Integers, minima, maxima and samples by hash, so the counts of partitions add up exactly, in whatever order they come.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from monitors.drift.tally import Tally
from monitors.hashing import hash_strings
from monitors.quality_tally import QualityTally
from streams.monitor.references import Reference
from streams.monitor.rows import Rows

DECISION = -2  # the column of Rows.matrix


class StoredCounts(msgspec.Struct, frozen=True):
    """Counts as bytes; ``reference`` is the id of the profile that the tally was binned by."""

    reference: str | None
    groups: tuple[str, ...]
    tally: bytes | None
    quality: bytes
    decided: int
    positive: int


@dataclass(slots=True)
class Counts:
    """``tally`` is None where the version has no reference; of ``decided`` rows ``positive`` were decided 1."""

    reference: Reference | None
    groups: tuple[str, ...]
    tally: Tally | None
    quality: QualityTally
    decided: int = 0
    positive: int = 0

    @classmethod
    def empty(cls, reference: Reference | None, limits: Mapping[str, float]) -> "Counts":
        """``limits``: by feature group, the age in seconds that is still fresh."""
        tally = Tally.empty(reference.profile) if reference else None
        return cls(reference, tuple(limits), tally, QualityTally(list(limits.values())))

    @property
    def n(self) -> int:
        return self.quality.n

    def add(self, rows: Rows) -> None:
        if self.tally is not None and self.reference is not None:
            self.reference.binner.add(self.tally, self.reference.matrix(rows))
        places, ages = (rows.partitions, rows.offsets), rows.ages_of(self.groups)
        self.quality.add(hash_strings(rows.event_ids), rows.times, *places, rows.late, rows.missing, rows.stale, ages)
        decisions = rows.matrix[:, DECISION]
        self.decided += int(np.count_nonzero(~np.isnan(decisions)))
        self.positive += int(np.count_nonzero(decisions == 1.0))

    def stored(self) -> StoredCounts:
        return StoredCounts(
            self.reference.id if self.reference else None,
            self.groups,
            self.tally.to_bytes() if self.tally else None,
            self.quality.to_bytes(),
            self.decided,
            self.positive,
        )

    @classmethod
    def opened(cls, held: StoredCounts, reference: Reference | None) -> "Counts":
        """The counts again; `reference` is the one that they were counted by, None where there was none or it is gone."""
        tally = Tally.from_bytes(held.tally) if held.tally is not None and reference is not None else None
        return cls(reference, held.groups, tally, QualityTally.from_bytes(held.quality), held.decided, held.positive)
