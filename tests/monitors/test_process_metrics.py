"""What a process says of itself, held against what the kernel says; and what its hours have cost."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitors.cgroup import MemoryLimit
from monitors.lag_metrics import registry_of
from monitors.lag_snapshot import Snapshot
from monitors.metrics import WorkerMetrics
from monitors.monitor_metrics import MonitorMetrics
from monitors.process_metrics import COST, LIMIT, RESIDENT, START, ProcessMetrics

RESOLUTION_SECONDS = 1.1  # the kernel tells when the machine started in whole seconds, and the process' age in hundredths
PROCESS = {"pipeline": "fraud", "process": "worker"}
REGISTRIES = {
    "worker": (WorkerMetrics("fraud", [], []).registry, {"pipeline": "fraud", "process": "worker"}),
    "monitor": (MonitorMetrics("fraud", []).registry, {"pipeline": "fraud", "process": "monitor"}),
    "lag": (registry_of(Snapshot), {"process": "lag"}),
}


def registry(metrics: ProcessMetrics) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(metrics)
    return made


@pytest.mark.parametrize("process", list(REGISTRIES))
def test_each_process_says_when_it_started_and_what_memory_it_has(process: str) -> None:
    found, labels = REGISTRIES[process]
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert found.get_sample_value(RESIDENT, labels) == pytest.approx(resident, rel=0.2)
    assert 0 < (found.get_sample_value(START, labels) or 0) < time.time()


def test_a_process_started_when_it_was_started_and_has_cost_next_to_nothing() -> None:
    """Of another process, whose start is known: the price counts from it, not from the machine's start or the epoch."""
    code = """
from monitors.process_metrics import ProcessMetrics
print({one.name: one.samples[0].value for one in ProcessMetrics("worker", "fraud", 3_600.0).collect()})
"""
    before = time.time()
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    after, found = time.time(), ast.literal_eval(said.stdout)
    assert before - RESOLUTION_SECONDS <= found[START] <= after + RESOLUTION_SECONDS
    assert 0 < found[COST.removesuffix("_total")] <= after - before + RESOLUTION_SECONDS


def test_memory_that_is_taken_shows_at_the_next_scrape() -> None:
    found, labels = REGISTRIES["worker"]
    before = found.get_sample_value(RESIDENT, labels) or 0.0
    taken = bytearray(os.urandom(1 << 20) * 64)
    assert (found.get_sample_value(RESIDENT, labels) or 0.0) - before > len(taken) / 2


def test_the_least_limit_counts_and_is_read_at_each_scrape() -> None:
    limits = [MemoryLimit(2_000, 0), MemoryLimit(1_000, 0)]
    found = registry(ProcessMetrics("lag", limits=lambda: limits))
    assert found.get_sample_value(LIMIT, {"process": "lag"}) == 1_000
    limits.clear()
    assert found.get_sample_value(LIMIT, {"process": "lag"}) is None


def test_an_hour_costs_what_is_declared_whatever_the_clock_does() -> None:
    now, monotonic = time.time(), 50.0
    found = registry(ProcessMetrics("worker", "fraud", 0.36, now=lambda: now, monotonic=lambda: monotonic))
    begin = found.get_sample_value(COST, {"pipeline": "fraud"}) or 0.0
    assert begin == pytest.approx(0.0001 * (now - (found.get_sample_value(START, PROCESS) or 0.0)))
    now, monotonic = now - 86_400, monotonic + 3_600
    assert found.get_sample_value(COST, {"pipeline": "fraud"}) == pytest.approx(begin + 0.36)


def test_without_a_price_nothing_is_said_of_cost() -> None:
    found, _ = REGISTRIES["worker"]
    assert found.get_sample_value(COST, {"pipeline": "fraud"}) is None
    priced = WorkerMetrics("fraud", [], [], cost_usd_per_hour=3.6).registry
    assert (priced.get_sample_value(COST, {"pipeline": "fraud"}) or 0) > 0
