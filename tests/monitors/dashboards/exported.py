"""The series that Prometheus can have: what the registries of the three processes export, and what its rules record."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.registry import CollectorRegistry

from monitors.lag_metrics import LagCollector
from monitors.lag_snapshot import Snapshot
from monitors.metrics import WorkerMetrics
from monitors.monitor_metrics import MonitorMetrics

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# Prometheus' own.
ALERTS = ("ALERTS",)
# By monitors/alerts, and metrics whose processes register them beside the above.
RECORDED = (
    "tidegate:budget_left:ratio",
    "tidegate:burn:rate_1h",
    "tidegate:burn:rate_5m",
    "tidegate:feed_age_seconds",
    "tidegate:feed_limit_seconds",
    "tidegate:objective:ratio",
    "tidegate:volume_vs_last_week:ratio",
    "tidegate_cost_usd_total",
    "tidegate_decision_rate_breaches",
    "tidegate_feature_drift_psi_excess",
    "tidegate_feature_windows_total",
    "tidegate_job_last_success_timestamp_seconds",
    "tidegate_job_runs_total",
    "tidegate_process_memory_limit_bytes",
    "tidegate_process_resident_memory_bytes",
    "tidegate_process_start_time_seconds",
    "tidegate_store_unavailable",
)


def known() -> set[str]:
    """The name of every series."""
    worker, monitor = WorkerMetrics("p", ["g"], ["r"]).registry, MonitorMetrics("p", ["g"]).registry
    lag = CollectorRegistry()
    lag.register(LagCollector(Snapshot))
    return {*ALERTS, *RECORDED, *(name for registry in (worker, monitor, lag) for name in _names(registry.collect()))}


def _names(families: Iterable[Metric]) -> Iterable[str]:
    for family in families:
        yield from (family.name + suffix for suffix in SUFFIXES[family.type])
