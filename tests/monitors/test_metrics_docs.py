"""docs/monitoring.md has every metric of workers, of the monitor and of every process, as what it is exported; and no other."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitors.cgroup import MemoryLimit
from monitors.job_metrics import JobTotals
from monitors.metrics import WorkerMetrics
from monitors.monitor_metrics import MonitorMetrics
from monitors.process_metrics import COST, LIMIT, RESIDENT, START, ProcessMetrics

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text()
OF_PROCESS = {START, RESIDENT, LIMIT}


def worker() -> CollectorRegistry:
    return WorkerMetrics("p", ["g"], ["malformed"], cost_usd_per_hour=1.0).registry


def monitor() -> CollectorRegistry:
    metrics = MonitorMetrics("p", ["g"])
    metrics.jobs(JobTotals())
    return metrics.registry


def process() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ProcessMetrics("lag", limits=lambda: [MemoryLimit(1, 0)]))
    return registry


def exported(registry: CollectorRegistry) -> dict[str, str]:
    """Types by name, as queries have it."""
    return {family.name + ("_total" if family.type == "counter" else ""): family.type for family in registry.collect()}


def documented(section: str) -> dict[str, str]:
    """Types by name, in the table of a section."""
    lines = TEXT.split(f"## {section}\n")[1].split("\n## ")[0].splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    return {name: row[1].split(";")[0] for row in rows for name in re.findall(r"`(\w+)`", row[0])}


@pytest.mark.parametrize(
    ("section", "registry", "elsewhere"),
    [
        ("Metrics of workers", worker(), OF_PROCESS),
        ("Metrics of the monitor", monitor(), OF_PROCESS),
        ("Metrics of every process", process(), set()),
    ],
)
def test_every_metric_is_described_and_no_other(section: str, registry: CollectorRegistry, elsewhere: set[str]) -> None:
    assert documented(section) == {name: kind for name, kind in exported(registry).items() if name not in elsewhere}


def test_the_cost_is_a_workers_alone() -> None:
    assert COST in documented("Metrics of workers")
    assert COST not in documented("Metrics of every process")
