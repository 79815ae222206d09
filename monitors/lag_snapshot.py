"""What one look at a cluster's consumer groups found: a record a partition, for the table, the JSON lines and Prometheus.

What a number means is docs/lag.md's; None stands where it cannot be told, and never NaN.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from monitors.lag import HALTED, Status


class PartitionLag(msgspec.Struct, frozen=True):
    """One partition as one group stands in it, at the time `at` (seconds since the epoch)."""

    group: str
    topic: str
    partition: int
    status: Status
    at: float
    committed: int | None
    start: int
    end: int
    lag_records: int | None
    lag_seconds: float | None
    head_of_line_seconds: float
    records_per_second: float | None
    drain_seconds: float | None
    retention_used: float | None
    lost_records: int
    producer_time: bool
    looks_ago: int = 0  # more than 0: Kafka did not answer since, and this is the last that was known

    @property
    def where(self) -> tuple[str, str, int]:
        return self.group, self.topic, self.partition

    @property
    def alarming(self) -> bool:
        """What makes `tidegate lag --once` end with 1."""
        return self.status in HALTED or self.lost_records > 0


def badness(one: PartitionLag) -> tuple[float, ...]:
    """Sorts the worst first: by status, then by what is lost, then by age."""
    return -one.status.code, -one.lost_records, -(one.lag_seconds or 0.0), -(one.lag_records or 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All partitions of one look. ``complete_at`` is when everything last answered; None if it never has."""

    partitions: tuple[PartitionLag, ...] = ()
    topics: Mapping[str, bool] = field(default_factory=dict)  # the topics watched: are their times the producers'?
    groups: int = 0
    complete_at: float | None = None
    look_seconds: float = 0.0
    failed_looks: int = 0  # in a row
    looks: int = 0  # since the process began

    @property
    def carried(self) -> int:
        """Partitions whose values are of an earlier look."""
        return sum(one.looks_ago > 0 for one in self.partitions)
