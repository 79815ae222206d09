"""A pipeline on which nothing is wrong: 20 events a second, two workers, a monitor, a lag process."""

from collections.abc import Mapping

from monitors.alerts.scenarios.series import Values, always, counts
from monitors.alerts.subject import Subject

EVENTS_PER_MINUTE = 1_200.0
CLOCK = counts((0, 60.0))  # seconds, as promtool's time begins at 0
TOPIC = "events"


class Names:
    """The series of a pipeline, by the short names that scenarios use."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.this = subject.this

    def __call__(self, name: str, **labels: str) -> str:
        """A series of the pipeline, in promtool's notation."""
        return f"tidegate_{name}{{{','.join([self.this, *_pairs(labels)])}}}"

    def worker(self, name: str, instance: int = 1, **labels: str) -> str:
        """A series of one worker."""
        return self(name, job="tidegate-worker", instance=f"worker-{instance}:6066", **labels)

    def events(self, outcome: str) -> str:
        return self.worker("events_total", outcome=outcome)

    def letters(self, reason: str) -> str:
        return self.worker("dead_letters_total", reason=reason)

    @property
    def published(self) -> str:
        """The counter of all events published, in time or not."""
        return self.worker("end_to_end_seconds_count", outcome="scored")

    @property
    def in_time(self) -> str:
        """The counter of events published within the bound."""
        bound = str(float(self.subject.objectives.latency_seconds))
        return self.worker("end_to_end_seconds_bucket", outcome="scored", le=bound)

    def process(self, name: str, process: str = "worker", instance: int = 1) -> str:
        return self(f"process_{name}", process=process, job=f"tidegate-{process}", instance=f"{process}-{instance}:6066")

    def lag(self, name: str, monitor: bool = False) -> str:
        """A series of the workers' consumer group, or the monitors', in the scored topic."""
        group = self.subject.monitors if monitor else self.subject.workers
        return f'tidegate_consumer_{name}{{{group},topic="{TOPIC}",partition="0"}}'

    def feed(self, group: str) -> str:
        return self.worker("feed_last_merge_timestamp_seconds", group=group)

    def serves(self, version: int, instance: int = 1) -> str:
        return self.worker("model_info", instance, model="model", version=str(version))

    def expects(self, version: int) -> str:
        return self("model_expected_info", model="model", version=str(version))


LAGS = ("lag_seconds", "lag_records", "lag_status", "retention_used_ratio", "lost_records")
LOOKED = "tidegate_lag_last_look_timestamp_seconds"


def _pairs(labels: Mapping[str, str]) -> list[str]:
    return [f'{name}="{value}"' for name, value in labels.items()]


def healthy(names: Names) -> dict[str, Values]:
    """Every series that rules read."""
    return {
        **_workers(names),
        **_monitor(names),
        LOOKED: CLOCK,
        **{
            names.lag(name): always(0)
            for name in ("lag_seconds", "lag_records", "lag_status", "retention_used_ratio", "lost_records")
        },
        names.lag("lag_seconds", monitor=True): always(0),
    }


def _workers(names: Names) -> dict[str, Values]:
    busy = counts((0, EVENTS_PER_MINUTE))
    return {
        **{names.process("start_time_seconds", instance=one): always(0) for one in (1, 2)},
        **{names.process("resident_memory_bytes", instance=one): always(4e8) for one in (1, 2)},
        **{names.process("memory_limit_bytes", instance=one): always(1e9) for one in (1, 2)},
        names.events("scored"): busy,
        **{names.events(outcome): always(0) for outcome in ("degraded", "fallback", "rejected", "failed")},
        **{names.letters(reason): always(0) for reason in ("malformed", "contract", "scoring")},
        names.worker("end_to_end_seconds_count", outcome="scored"): busy,
        names.worker(
            "end_to_end_seconds_bucket", outcome="scored", le=str(float(names.subject.objectives.latency_seconds))
        ): busy,
        **{names.feed(feed.group): CLOCK for feed in names.subject.feeds},
        **{names.serves(3, instance): always(1) for instance in (1, 2)},
        names.worker("store_unavailable"): always(0),
        names.worker("model_trained_timestamp_seconds", model="model"): CLOCK,
        names.worker("model_load_failures_total", reason="hash"): always(0),
        names.worker("rebalances_total"): always(2),
    }


def _monitor(names: Names) -> dict[str, Values]:
    features = ("amount", "prediction.score")
    return {
        names.process("start_time_seconds", "monitor"): always(0),
        names.expects(3): always(1),
        **{names("feature_drift_state", feature=one): always(0) for one in features},
        **{names("feature_drift_severity", feature=one): always(0) for one in features},
        names("feature_windows_total", state="ok"): counts((0, 10.0)),
        **{names("feature_windows_total", state=state): always(0) for state in ("warn", "drift", "unknown")},
        names("drift_windows_total", state="ok"): counts((0, 1.0)),
        names("drift_windows_total", state="unknown"): always(0),
        names("monitor_rows_total", outcome="counted"): counts((0, EVENTS_PER_MINUTE)),
        **({names("decision_rate_breaches"): always(0)} if names.subject.has_band else {}),
        names("data_quality_score"): always(1),
        names("skew_ratio", feature="amount"): always(0),
        names("job_runs_total", job="train", result="succeeded"): always(3),
        names("job_runs_total", job="train", result="failed"): always(0),
    }
