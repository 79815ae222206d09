"""Every Prometheus metric that a worker exports: names, units, labels. The lag monitor's are in lag_metrics.py,
of the process itself in process_metrics.py.

Label values are bounded: never a key, an id or a hash. Every outcome and reason exists from the start, at 0.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from monitors.histogram import BulkHistogram
from monitors.process_metrics import ProcessMetrics

OUTCOMES = ("scored", "degraded", "fallback", "rejected", "failed")
STAGES = ("decode", "read", "features", "score", "publish", "merge")
FEATURE_STATES = ("fresh", "stale", "missing")
LOAD_FAILURES = ("registry", "hash", "schema", "golden", "unreadable")
# 0.2 is the latency objective; the rest spans a quiet topic to a backlog.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
STAGE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
CHUNK_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
# 300 is the freshness objective of a feed; ages reach back to the longest usual windows.
AGE_BUCKETS = (1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0)

Metric = TypeVar("Metric", Counter, Gauge, Histogram)


class WorkerMetrics:
    """The metrics of one worker of one pipeline, in a registry of their own.

    ``shared``: those of its groups that another pipeline's workers keep. ``cost_usd_per_hour``: what this worker costs.
    """

    def __init__(
        self,
        pipeline: str,
        groups: Sequence[str],
        reasons: Sequence[str],
        shared: Collection[str] = (),
        cost_usd_per_hour: float | None = None,
    ) -> None:
        # A _created series beside each counter would double what Prometheus stores, and no rule reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.registry.register(ProcessMetrics("worker", pipeline, cost_usd_per_hour))
        self._pipeline = pipeline
        self._missed_by: set[str] = set()
        self._children: dict[tuple[Any, tuple[str, ...]], Any] = {}
        self.events = self._counter("tidegate_events", "Events by outcome.", "outcome", OUTCOMES)
        self.dead_letters = self._counter("tidegate_dead_letters", "Records sent to the dead-letter topic.", "reason", reasons)
        self.features = self._counter("tidegate_features", "Feature values served, by state.", "state", FEATURE_STATES)
        self.dropped = self._counter("tidegate_dropped_events", "Events too late for a window, by window.", "group", groups)
        self.late_events = self._counter("tidegate_late_events", "Scored events with a window whose tail was gone.")
        self.missing_entities = self._counter("tidegate_missing_entity_events", "Scored events with an entity that has no id.")
        self.store_retries = self._counter("tidegate_store_retries", "Calls to Redis that were tried again.")
        self.rebalances = self._counter("tidegate_rebalances", "Assignments of partitions to this worker.")
        self.load_failures = self._counter("tidegate_model_load_failures", "Model versions refused.", "reason", LOAD_FAILURES)
        self.model_info = self._gauge("tidegate_model_info", "1 for the version that serves.", "model", "version")
        self.model_trained = self._gauge("tidegate_model_trained_timestamp_seconds", "When the version was trained.", "model")
        self.feed_last_merge = self._gauge("tidegate_feed_last_merge_timestamp_seconds", "Last merge; 0: none yet.", "group")
        self._store_unavailable = self._gauge("tidegate_store_unavailable", "1 while the feature store does not answer.")
        self.unmerged_events = self._gauge("tidegate_unmerged_events", "Events published that the store has not merged yet.")
        self.stage = self._histogram("tidegate_stage_duration_seconds", "Time of a chunk in a stage.", "stage", STAGE_BUCKETS)
        self.chunk_events = self._histogram("tidegate_chunk_events", "Records computed as one.", "topic", CHUNK_BUCKETS)
        self.end_to_end = self._bulk(
            "tidegate_end_to_end_seconds", "Broker timestamp to published, per event.", "outcome", LATENCY_BUCKETS
        )
        self.feature_age = self._bulk("tidegate_feature_age_seconds", "Age of served features.", "group", AGE_BUCKETS)
        self.merge_delay = self._bulk(
            "tidegate_feed_merge_delay_seconds", "Broker timestamp to merged.", "group", LATENCY_BUCKETS
        )
        self._preset(groups, shared)

    def _preset(self, groups: Sequence[str], shared: Collection[str]) -> None:
        self._store_unavailable.labels(self._pipeline).set(0)
        for stage in STAGES:
            self.stage.labels(self._pipeline, stage)
        self.unmerged(0)
        self.end_to_end.preset("scored")
        for group in groups:
            if group not in shared:
                self._child(self.feed_last_merge, group).set(0)
            self.feature_age.preset(group)
            self.merge_delay.preset(group)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, ["pipeline", *labels], registry=self.registry)

    def _histogram(self, name: str, documentation: str, label: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, documentation, ["pipeline", label], buckets=buckets, registry=self.registry)

    def _counter(self, name: str, documentation: str, label: str | None = None, values: Sequence[str] = ()) -> Counter:
        counter = Counter(name, documentation, ["pipeline", *([label] if label else [])], registry=self.registry)
        for value in values:
            counter.labels(self._pipeline, value)
        if label is None:
            counter.labels(self._pipeline)
        return counter

    def _bulk(self, name: str, documentation: str, label: str, buckets: Sequence[float]) -> BulkHistogram:
        found = BulkHistogram(name, documentation, label, buckets, {"pipeline": self._pipeline})
        self.registry.register(found)
        return found

    def count(self, counter: Counter, n: float, *labels: str) -> None:
        """Adds n to one of this object's counters, under this pipeline."""
        if n:
            self._child(counter, *labels).inc(n)

    def _child(self, metric: Metric, *labels: str) -> Metric:
        """One series of a metric, kept: looking it up costs prometheus_client 5 us, ten times a chunk."""
        found = self._children.get((metric, labels))
        if found is None:
            found = self._children[metric, labels] = metric.labels(self._pipeline, *labels)
        child: Metric = found
        return child

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Observes the time spent inside."""
        started = perf_counter()
        try:
            yield
        finally:
            self._child(self.stage, stage).observe(perf_counter() - started)

    def chunk(self, topic: str, records: int) -> None:
        self._child(self.chunk_events, topic).observe(records)

    def served(
        self, states: Mapping[str, int], ages: npt.NDArray[np.float64], groups: Sequence[str], late: int, missing_entity: int
    ) -> None:
        """Counts served values by state, ages by group, and the events that were late or had an entity without an id."""
        for state, n in states.items():
            self.count(self.features, n, state)
        self.count(self.late_events, late)
        self.count(self.missing_entities, missing_entity)
        for column, group in enumerate(groups):
            self.feature_age.observe(group, ages[:, column])

    def came_too_late(self, group: str, events: int) -> None:
        """Counts events that a group's windows had no tile for any more, once a window."""
        self.count(self.dropped, events, group)

    def unmerged(self, events: int) -> None:
        self._child(self.unmerged_events).set(events)

    def store_away(self, witness: str, away: bool) -> None:
        """One of those that call the store says whether it answers; it is unavailable while any says that it does not."""
        (self._missed_by.add if away else self._missed_by.discard)(witness)
        self._store_unavailable.labels(self._pipeline).set(bool(self._missed_by))

    def merged(self, group: str, now: float, ingested: npt.NDArray[np.float64]) -> None:
        self._child(self.feed_last_merge, group).set(now)
        self.merge_delay.observe(group, now - ingested)

    def serving(self, model: str, version: int, trained: float) -> None:
        """Names the one version that serves."""
        self.model_info.clear()
        self.model_info.labels(self._pipeline, model, str(version)).set(1)
        self.model_trained.labels(self._pipeline, model).set(trained)
