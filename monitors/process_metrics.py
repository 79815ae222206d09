"""What a process says of itself: since when it runs, how much memory it has and may have, what it has cost.

Read at each scrape, from /proc and the control groups; nothing is counted meanwhile. What a process does is in metrics.py,
monitor_metrics.py and lag_metrics.py, which register this beside.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitors.cgroup import MemoryLimit, memory_limits

Process = Literal["worker", "monitor", "lag"]
START, RESIDENT = "tidegate_process_start_time_seconds", "tidegate_process_resident_memory_bytes"
LIMIT, COST = "tidegate_process_memory_limit_bytes", "tidegate_cost_usd_total"
HOUR_SECONDS = 3_600.0


class ProcessMetrics(Collector):
    """Of the process that makes it. ``cost_usd_per_hour`` is a worker's price; without one there is no series of its cost.

    ``limits``, ``now`` (seconds since the epoch) and ``monotonic`` (seconds that never go back) are what is read.
    """

    def __init__(
        self,
        process: Process,
        pipeline: str | None = None,
        cost_usd_per_hour: float | None = None,
        limits: Callable[[], Iterable[MemoryLimit]] = memory_limits,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline, self._price = pipeline, cost_usd_per_hour
        self._labels = ({} if pipeline is None else {"pipeline": pipeline}) | {"process": process}
        self._kernel = ProcessCollector(namespace="tidegate", registry=None)
        self._limits, self._monotonic = limits, monotonic
        self._started = self._of_kernel().get(START, now())
        # Not now - start at each scrape: a clock set back would set the counter back, and Prometheus would add it all once more.
        self._epoch = monotonic() - max(0.0, now() - self._started)

    def describe(self) -> Iterable[Metric]:
        """Nothing: names that are read at a scrape need not be read to register."""
        return ()

    def collect(self) -> Iterable[Metric]:
        yield self._gauge(START, "When the process started, seconds since the epoch.", self._started)
        if (resident := self._of_kernel().get(RESIDENT)) is not None:
            yield self._gauge(RESIDENT, "Memory that the process has, without what was swapped out.", resident)
        if limits := [one.limit_bytes for one in self._limits()]:
            yield self._gauge(LIMIT, "The least limit of the control groups that the process is in.", min(limits))
        if self._price is not None:
            cost = CounterMetricFamily(
                COST, "The declared price of an hour times how long the process has run.", labels=["pipeline"]
            )
            cost.add_metric([self._pipeline or ""], self._price / HOUR_SECONDS * (self._monotonic() - self._epoch))
            yield cost

    def _of_kernel(self) -> Mapping[str, float]:
        """By name; empty where there is no /proc."""
        return {sample.name: sample.value for family in self._kernel.collect() for sample in family.samples}

    def _gauge(self, name: str, documentation: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, documentation, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family
