"""Every Prometheus metric that `tidegate monitor` exports: names, units, labels. A worker's are metrics.py's,
of the process itself process_metrics.py's, of jobs job_metrics.py's.

Label values are bounded: features, groups and checks are declared, never a key, an id or a hash. Every outcome exists from the
start, at 0; what cannot be said is NaN. Nothing is said of the window before a restart until the next one is judged,
but for the windows in a row outside the decision band, which the monitor remembers.
"""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from monitors.feeds import Feed
from monitors.job_metrics import JobMetrics, JobTotals
from monitors.process_metrics import ProcessMetrics
from monitors.quality import CHECKS, RESULTS, Check, result

# What becomes of a row of served vectors. counted: in a window; repeated: it was already; late: its window is judged and gone;
# sampled_out: others stand for it; no_model: no model scored it; no_reference: its model version has no reference profile;
# unreadable: a record that is not of served vectors.
ROW_OUTCOMES = ("counted", "repeated", "late", "sampled_out", "no_model", "no_reference", "unreadable")
STATES = {"ok": 0, "warn": 1, "drift": 2, "unknown": -1}
SEVERITIES = {"none": 0, "info": 1, "ticket": 2}
SKEW_RESULTS = ("compared", "failed")
NAN = float("nan")


class MonitorMetrics:
    """The metrics of one monitor of one pipeline, in a registry of their own."""

    def __init__(self, pipeline: str, groups: Sequence[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # see metrics.py
        self.registry = CollectorRegistry()
        self.registry.register(ProcessMetrics("monitor", pipeline))
        self._jobs = JobMetrics(pipeline)
        self.registry.register(self._jobs)
        self._pipeline = pipeline
        self._psi = self._gauge("tidegate_feature_drift_psi", "Population stability index of the last window.", "feature")
        self._excess = self._gauge("tidegate_feature_drift_psi_excess", "PSI less its mean without drift.", "feature")
        self._feature_windows = self._counter("tidegate_feature_windows", "Windows of features judged.", "state", STATES)
        self._state = self._gauge("tidegate_feature_drift_state", "0 ok, 1 warn, 2 drift, -1 unknown.", "feature")
        self._severity = self._gauge("tidegate_feature_drift_severity", "0 none, 1 info, 2 ticket.", "feature")
        self._judged = self._gauge("tidegate_drift_last_window_timestamp_seconds", "When the last window was published.")
        self._events = self._gauge("tidegate_drift_window_events", "Events of the last window.")
        self._windows = self._counter("tidegate_drift_windows", "Windows published.", "state", STATES)
        self._decisions = self._gauge("tidegate_decision_rate", "Share of positive decisions in the last window.")
        self._breaches = self._gauge("tidegate_decision_rate_breaches", "Windows in a row outside the declared band.")
        self._checks = self._counter("tidegate_data_quality_checks", "Checks of windows, by result.", "check", CHECKS, RESULTS)
        self._score = self._gauge("tidegate_data_quality_score", "Share of the last window's judged checks that passed.")
        self._age = self._gauge("tidegate_feed_age_seconds", "Youngest age that a group was served with.", "group")
        self._limit = self._gauge("tidegate_feed_age_limit_seconds", "Oldest that the youngest age may be.", "group")
        self._skew = self._gauge("tidegate_skew_ratio", "Share of served values that differ offline.", "feature")
        self._skew_runs = self._counter("tidegate_skew_runs", "Comparisons with offline features.", "result", SKEW_RESULTS)
        self._expected = self._gauge("tidegate_model_expected_info", "1 for the version that should serve.", "model", "version")
        self._rows = self._counter("tidegate_monitor_rows", "Rows of served vectors.", "outcome", ROW_OUTCOMES)
        self._writes = self._counter("tidegate_monitor_state_writes", "Checkpoints written.")
        for gauge in (self._events, self._decisions, self._breaches, self._score):
            gauge.labels(pipeline).set(NAN)
        for group in groups:
            self._age.labels(pipeline, group).set(NAN)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, ["pipeline", *labels], registry=self.registry)

    def _counter(
        self, name: str, documentation: str, label: str = "", values: Iterable[str] = (), results: Iterable[str] = ()
    ) -> Counter:
        labels = [*([label] if label else []), *(["result"] if results else [])]
        counter = Counter(name, documentation, ["pipeline", *labels], registry=self.registry)
        for value in values:
            for outcome in [[one] for one in results] or [[]]:
                counter.labels(self._pipeline, value, *outcome)
        if not label:
            counter.labels(self._pipeline)
        return counter

    def rows(self, outcomes: Mapping[str, int]) -> None:
        """Counts rows by one of ROW_OUTCOMES."""
        for outcome, n in outcomes.items():
            self._rows.labels(self._pipeline, outcome).inc(n)

    def state_written(self) -> None:
        self._writes.labels(self._pipeline).inc()

    def feature(self, feature: str, psi: float | None, excess: float | None, state: str, severity: str) -> None:
        """What a window says of one feature: its PSI, with and without its mean, a key of STATES, a key of SEVERITIES."""
        self._psi.labels(self._pipeline, feature).set(NAN if psi is None else psi)
        self._excess.labels(self._pipeline, feature).set(NAN if excess is None else excess)
        self._feature_windows.labels(self._pipeline, state).inc()
        self._state.labels(self._pipeline, feature).set(STATES[state])
        self._severity.labels(self._pipeline, feature).set(SEVERITIES[severity])

    def window(self, now: float, events: int, state: str, decision_rate: float | None) -> None:
        """A window was published at `now` (seconds since the epoch, by this process's clock)."""
        self._judged.labels(self._pipeline).set(now)
        self._events.labels(self._pipeline).set(events)
        self._windows.labels(self._pipeline, state).inc()
        self._decisions.labels(self._pipeline).set(NAN if decision_rate is None else decision_rate)

    def breaches(self, windows: int | None) -> None:
        """How many windows in a row had decisions outside the declared band; None: no band, or no window yet."""
        self._breaches.labels(self._pipeline).set(NAN if windows is None else windows)

    def quality(self, checks: Iterable[Check], score: float | None, feeds: Iterable[Feed]) -> None:
        """The checks, the score and the feeds of a window."""
        for check in checks:
            self._checks.labels(self._pipeline, check.check, result(check)).inc()
        self._score.labels(self._pipeline).set(NAN if score is None else score)
        for feed in feeds:
            self._age.labels(self._pipeline, feed.group).set(NAN if feed.youngest_age is None else feed.youngest_age)
            self._limit.labels(self._pipeline, feed.group).set(feed.limit)

    def skew(self, ratios: Mapping[str, float | None] | None) -> None:
        """Mismatch ratios by feature of one comparison, None for a feature that was not compared; None: it failed."""
        self._skew_runs.labels(self._pipeline, "failed" if ratios is None else "compared").inc()
        for feature, ratio in (ratios or {}).items():
            self._skew.labels(self._pipeline, feature).set(NAN if ratio is None else ratio)

    def jobs(self, totals: JobTotals) -> None:
        """How the pipeline's jobs ended, of all time."""
        self._jobs.totals = totals

    def expected(self, model: str, version: int | None) -> None:
        """Names the one version that the deployments topic wants to serve; None where it wants none."""
        self._expected.clear()
        if version is not None:
            self._expected.labels(self._pipeline, model, str(version)).set(1)
