"""What Prometheus gets of a snapshot: names, labels, codes; and nothing of what is no longer in it."""

import math

import msgspec
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitors.lag import Status
from monitors.lag_metrics import PARTITION_GAUGES, registry_of
from monitors.lag_snapshot import PartitionLag, Snapshot, badness

ONE = PartitionLag(
    group="billing",
    topic="payments",
    partition=3,
    status=Status.STALLED,
    at=1000.0,
    committed=5,
    start=0,
    end=9,
    lag_records=4,
    lag_seconds=120.0,
    head_of_line_seconds=66.0,
    records_per_second=0.0,
    drain_seconds=None,
    retention_used=0.25,
    lost_records=0,
    producer_time=False,
)
NEVER = msgspec.structs.replace(
    ONE, group="new", status=Status.UNKNOWN, committed=None, lag_records=None, lag_seconds=None, retention_used=None
)


def rendered(snapshot: Snapshot) -> dict[tuple[str, str], float]:
    """Values by metric and group (or topic)."""
    text = generate_latest(registry_of(lambda: snapshot)).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert not any(math.isnan(sample.value) for sample in samples)
    return {(sample.name, sample.labels.get("group", sample.labels.get("topic", ""))): sample.value for sample in samples}


def test_a_partition_has_the_series_that_are_known() -> None:
    found = rendered(Snapshot((ONE, NEVER), {"payments": False}, 2, 1000.0, 0.05))
    assert found["tidegate_consumer_lag_records", "billing"] == 4
    assert found["tidegate_consumer_lag_seconds", "billing"] == 120
    assert found["tidegate_consumer_lag_status", "billing"] == 3
    assert found["tidegate_consumer_retention_used_ratio", "billing"] == 0.25
    assert ("tidegate_consumer_time_to_drain_seconds", "billing") not in found
    assert found["tidegate_consumer_lag_status", "new"] == -1
    assert ("tidegate_consumer_lag_records", "new") not in found
    assert found["tidegate_lag_topic_producer_time", "payments"] == 0
    assert found["tidegate_lag_last_look_timestamp_seconds", ""] == 1000
    assert found["tidegate_lag_groups", ""] == 2


def test_series_go_with_their_partitions() -> None:
    seen = Snapshot((ONE, NEVER), {"payments": False}, 2, 1000.0)
    registry = registry_of(lambda: seen)
    assert b'group="billing"' in generate_latest(registry)
    seen = Snapshot((NEVER,), {"payments": False}, 1, 1006.0)
    assert b'group="billing"' not in generate_latest(registry)


def test_a_monitor_that_saw_nothing_yet_says_so() -> None:
    found = rendered(Snapshot())
    assert found["tidegate_lag_last_look_timestamp_seconds", ""] == 0
    assert not [name for name, _ in found if name in {gauge[0] for gauge in PARTITION_GAUGES}]


def test_the_worst_comes_first() -> None:
    stopped = msgspec.structs.replace(ONE, status=Status.STOPPED, lag_seconds=1.0)
    older = msgspec.structs.replace(ONE, lag_seconds=500.0)
    fine = msgspec.structs.replace(ONE, status=Status.OK)
    assert sorted([fine, NEVER, ONE, older, stopped], key=badness) == [stopped, older, ONE, fine, NEVER]


def test_what_alarms() -> None:
    lost = msgspec.structs.replace(ONE, status=Status.OK, lost_records=2)
    assert [one.alarming for one in (ONE, NEVER, lost)] == [True, False, True]
