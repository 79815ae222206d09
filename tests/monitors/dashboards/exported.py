"""The series that Prometheus can have: what the registries of the three processes export, and what its rules record."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.registry import CollectorRegistry

from monitors.alerts import Recording, rules
from monitors.job_metrics import JobTotals
from monitors.lag_metrics import LagCollector
from monitors.lag_snapshot import Snapshot
from monitors.metrics import WorkerMetrics
from monitors.monitor_metrics import MonitorMetrics
from tests.monitors.alerts.subjects import WHOLE

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# Prometheus' own.
ALERTS = ("ALERTS",)
# Only where the kernel sets a limit, and a price is declared.
SOMETIMES = ("tidegate_process_memory_limit_bytes", "tidegate_cost_usd_total")
RECORDED = tuple(rule.record for group in rules(WHOLE).values() for rule in group if isinstance(rule, Recording))


def known() -> set[str]:
    """The name of every series."""
    metrics = MonitorMetrics("p", ["g"])
    metrics.jobs(JobTotals())
    worker, monitor = WorkerMetrics("p", ["g"], ["r"]).registry, metrics.registry
    lag = CollectorRegistry()
    lag.register(LagCollector(Snapshot))
    return {*ALERTS, *SOMETIMES, *RECORDED, *(name for registry in (worker, monitor, lag) for name in _names(registry.collect()))}


def _names(families: Iterable[Metric]) -> Iterable[str]:
    for family in families:
        yield from (family.name + suffix for suffix in SUFFIXES[family.type])
