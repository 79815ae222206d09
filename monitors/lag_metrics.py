"""The Prometheus metrics of `tidegate lag`: names, units, labels; rendered anew from the last snapshot at each scrape.

So the series of a group, topic or partition that is gone go with it. Values are as of the last look, not of the scrape.
"""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitors.lag import CODES
from monitors.lag_snapshot import PartitionLag, Snapshot
from monitors.process_metrics import ProcessMetrics

LABELS = ("group", "topic", "partition")
SEVERITY = ", ".join(f"{code} {status.value}" for status, code in CODES.items())
# Name, what it says, and the value; None leaves the series out.
PARTITION_GAUGES: tuple[tuple[str, str, Callable[[PartitionLag], float | None]], ...] = (
    ("tidegate_consumer_lag_records", "Records from the committed offset to the end.", lambda one: one.lag_records),
    ("tidegate_consumer_lag_seconds", "Age of the oldest record not committed, 0 if caught up.", lambda one: one.lag_seconds),
    ("tidegate_consumer_lag_status", f"The worse the higher: {SEVERITY}.", lambda one: one.status.code),
    (
        "tidegate_consumer_head_of_line_seconds",
        "How long the committed offset was seen to stand with records left.",
        lambda one: one.head_of_line_seconds,
    ),
    ("tidegate_consumer_velocity_records_per_second", "Records committed a second.", lambda one: one.records_per_second),
    ("tidegate_consumer_time_to_drain_seconds", "Until nothing is left; absent if not draining.", lambda one: one.drain_seconds),
    (
        "tidegate_consumer_retention_used_ratio",
        "Lag in seconds by the topic's retention; 1 and more: records are deleted unread.",
        lambda one: one.retention_used,
    ),
    ("tidegate_consumer_lost_records", "Records deleted before the group committed them.", lambda one: one.lost_records),
)


class LagCollector(Collector):
    """Renders what `snapshot` returns."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask for a snapshot."""
        return ()

    def collect(self) -> Iterable[Metric]:
        found = self._snapshot()
        for name, documentation, value in PARTITION_GAUGES:
            yield _family(name, documentation, found.partitions, value)
        producers = GaugeMetricFamily(
            "tidegate_lag_topic_producer_time", "1 where records have their producers' time, not the broker's.", labels=["topic"]
        )
        for topic, producer in found.topics.items():
            producers.add_metric([topic], float(producer))
        yield producers
        yield from _of_itself(found)


def _family(
    name: str, documentation: str, partitions: Iterable[PartitionLag], value: Callable[[PartitionLag], float | None]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=LABELS)
    for one in partitions:
        if (known := value(one)) is not None:
            family.add_metric([one.group, one.topic, str(one.partition)], known)
    return family


def _of_itself(found: Snapshot) -> Iterable[GaugeMetricFamily]:
    """Whether the monitor sees anything: a dead one must not look like a healthy cluster."""
    yield GaugeMetricFamily(
        "tidegate_lag_last_look_timestamp_seconds", "When everything last answered; 0 if never.", found.complete_at or 0.0
    )
    yield GaugeMetricFamily("tidegate_lag_look_duration_seconds", "How long the last look took.", found.look_seconds)
    yield GaugeMetricFamily("tidegate_lag_failed_looks", "Looks in a row that Kafka did not answer in full.", found.failed_looks)
    yield GaugeMetricFamily("tidegate_lag_groups", "Groups that are watched.", found.groups)
    yield GaugeMetricFamily("tidegate_lag_carried_partitions", "Partitions whose values are of an earlier look.", found.carried)


def registry_of(snapshot: Callable[[], Snapshot]) -> CollectorRegistry:
    """A registry of its own for one process."""
    registry = CollectorRegistry()
    registry.register(LagCollector(snapshot))
    registry.register(ProcessMetrics("lag"))
    return registry
