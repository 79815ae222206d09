"""How often a pipeline's jobs ran and how they ended, of all time: what the topic of jobs says, counted by who reads it.

A monitor that starts anew has read the topic before it says anything, so a counter never goes back to 0, which Prometheus would
take for as many new runs as there are old ones. Every monitor of a pipeline says the same: rules take the greatest, not the sum.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

TRAIN, BACKFILL = "train", "backfill"
JOBS = (TRAIN, BACKFILL)
SUCCEEDED, FAILED = "succeeded", "failed"
RESULTS = (SUCCEEDED, FAILED)


@dataclass(frozen=True, slots=True)
class JobTotals:
    """``runs`` by job and result; ``last_success`` by job, seconds since the epoch. What is not in them is 0."""

    runs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    last_success: Mapping[str, float] = field(default_factory=dict)


class JobMetrics(Collector):
    """Renders the totals last set; nothing before."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self.totals: JobTotals | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: there are no totals yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        if (totals := self.totals) is None:
            return
        runs = CounterMetricFamily("tidegate_job_runs", "Runs of jobs, of all time.", labels=["pipeline", "job", "result"])
        last = GaugeMetricFamily(
            "tidegate_job_last_success_timestamp_seconds", "When a job last succeeded; 0: never.", labels=["pipeline", "job"]
        )
        for job in JOBS:
            for result in RESULTS:
                runs.add_metric([self._pipeline, job, result], totals.runs.get((job, result), 0))
            last.add_metric([self._pipeline, job], totals.last_success.get(job, 0.0))
        yield runs
        yield last
