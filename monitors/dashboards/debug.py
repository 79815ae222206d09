"""The debug dashboard: which feature, which stage, which worker. For who looks for the cause, or reads a ticket."""

from monitors.dashboards import drift
from monitors.dashboards.board import Board, Panel, Row
from monitors.dashboards.colours import GREEN, ORANGE, RED, bad_above
from monitors.dashboards.limits import MODEL_AGE_SECONDS
from monitors.dashboards.looks import graph, number, spread
from monitors.dashboards.series import GROUPS, PROCESSES, THIS, Line, last, quantile, rate


def debug() -> Board:
    return Board(
        uid="tidegate-debug",
        title="Tidegate debug",
        purpose="Which feature, which stage, which worker: for who looks for the cause, or reads a ticket.",
        since="now-24h",
        rows=(
            Row("Drift", (*drift.verdicts(), *drift.band(), *drift.windows())),
            Row("Data quality and skew", drift.quality()),
            Row("Workers", (*_stages(), *_served(), *_late())),
            Row("Features and feeds", _features()),
            Row("Model and jobs", (*_model(), *_jobs())),
        ),
        features=True,
    )


def _stages() -> tuple[Panel, ...]:
    return (
        Panel(
            "Stage latencies",
            "p95 of the time that a chunk of events takes in each stage.",
            "read, publish and merge take the most: they wait for Redis and Kafka.",
            "read or merge: Redis. publish: Kafka's acknowledgements. score: a larger model. All: larger chunks, or no CPU.",
            graph("s", Line(quantile(0.95, "tidegate_stage_duration_seconds", "stage"), "{{stage}}")),
            runbook="latency",
        ),
        Panel(
            "Chunk size",
            "Events computed as one, by topic: what had arrived when the worker came to it.",
            "few on a quiet topic; hundreds or thousands on a busy one.",
            "at thousands for long, workers are at their limit: start more, up to one a partition.",
            graph(
                "none",
                Line(quantile(0.5, "tidegate_chunk_events", "topic"), "{{topic}} p50"),
                Line(quantile(0.95, "tidegate_chunk_events", "topic"), "{{topic}} p95"),
            ),
            runbook="latency",
        ),
        Panel(
            "Latencies of all events",
            "Events a second by their time from arrival to prediction: a histogram at each moment.",
            "one dark band, low.",
            "a second band: some workers or partitions are slow. A band that climbs and comes back is a backlog that drained.",
            spread("s", Line(rate("tidegate_end_to_end_seconds_bucket", "le"), "{{le}}")),
            runbook="latency",
        ),
    )


def _served() -> tuple[Panel, ...]:
    return (
        Panel(
            "Unmerged events",
            "Events whose predictions are published and that Redis has not merged yet, by worker.",
            "a chunk's worth, back to 0 at once.",
            "climbs while Redis is away or slow: Stage latencies, merge. They are merged again after a restart, none is lost.",
            graph("none", Line(last("tidegate_unmerged_events", "instance"), "{{instance}}")),
            runbook="store",
        ),
        Panel(
            "Resident memory",
            "Resident memory of each process.",
            "level after the first hour.",
            "a step is a new model version or a partition more; a steady climb is a leak.",
            graph(
                "bytes",
                Line(
                    f"max by (process, instance) (tidegate_process_resident_memory_bytes{{{PROCESSES}}})",
                    "{{process}} {{instance}}",
                ),
            ),
            runbook="process",
        ),
        Panel(
            "Lag by partition",
            "The ten partitions with the most records that the group has not committed.",
            "all alike, near 0.",
            "one above the others: a key that has most of the traffic, or a slow worker. tidegate lag --once has its status.",
            graph(
                "none",
                Line(
                    f"topk(10, max by (group, topic, partition) (tidegate_consumer_lag_records{{{GROUPS}}}))",
                    "{{group}} {{topic}}/{{partition}}",
                ),
            ),
            runbook="lag",
        ),
    )


def _late() -> tuple[Panel, ...]:
    return (
        Panel(
            "Late events and missing entities",
            "Scored events a second that came after part of their window was gone, or that have an entity without an id.",
            "level, as the sources are.",
            "late: a producer that is behind, or a clock. Missing: a producer that left a key out.",
            graph(
                "eps",
                Line(rate("tidegate_late_events_total"), "late"),
                Line(rate("tidegate_missing_entity_events_total"), "entity without an id"),
                span=12,
            ),
            runbook="quality",
        ),
        Panel(
            "Events too late for a window",
            "Events a second that no window of a feature group could take any more.",
            "0.",
            "they are scored, and missing from that group's windows: a longer lateness for the group, or mend the clock.",
            graph("eps", Line(rate("tidegate_dropped_events_total", "group"), "{{group}}"), span=12),
            runbook="quality",
        ),
    )


def _features() -> tuple[Panel, ...]:
    return (
        Panel(
            "Feature age",
            "Age of the features that were served: from an entity's newest event to the scored one; p50 and p95 by group.",
            "level; entities that are quiet by nature have old features.",
            "both climb: the feed stands, see Tidegate on-call, Feed age. Only p95: entities that went quiet.",
            graph(
                "s",
                Line(quantile(0.5, "tidegate_feature_age_seconds", "group"), "{{group}} p50"),
                Line(quantile(0.95, "tidegate_feature_age_seconds", "group"), "{{group}} p95"),
            ),
            runbook="freshness",
        ),
        Panel(
            "Feature values by state",
            "Feature values served a second: fresh, stale, missing.",
            "mostly fresh; missing for entities that are new.",
            "stale: Feature age tells which group. missing everywhere: Redis lost its data, see the worker's log.",
            graph(
                "ops",
                Line(rate("tidegate_features_total", "state"), "{{state}}"),
                stacked=True,
                colours={"fresh": GREEN, "stale": ORANGE, "missing": RED},
            ),
            runbook="freshness",
        ),
        Panel(
            "Merge delay p95",
            "From an event's arrival at the broker to its merge into a group's features.",
            "as the latency of predictions, a little above.",
            "climbs alone: Redis is slow to write, see Stage latencies, merge.",
            graph("s", Line(quantile(0.95, "tidegate_feed_merge_delay_seconds", "group"), "{{group}}")),
            runbook="freshness",
        ),
    )


def _model() -> tuple[Panel, ...]:
    return (
        Panel(
            "Model age",
            "Time since the version that serves was trained.",
            "as often as you train; below 90 days by default.",
            "tidegate train PIPELINE --data ... --promote; the panel Jobs tells whether training ran and failed.",
            number(
                "s",
                Line(f"time() - {last('tidegate_model_trained_timestamp_seconds', 'model')}", "{{model}}"),
                limits=bad_above(MODEL_AGE_SECONDS),
                empty="no model serves",
                span=6,
            ),
            runbook="model",
        ),
        Panel(
            "Time since jobs succeeded",
            "Time since each job last succeeded.",
            "as often as it is due.",
            "longer: it does not run, or fails, see Jobs. Empty: it never succeeded.",
            number(
                "s",
                Line(f"time() - ({last('tidegate_job_last_success_timestamp_seconds', 'job')} > 0)", "{{job}}"),
                empty="never",
                named=True,
                span=6,
            ),
            runbook="jobs",
        ),
        Panel(
            "Skew runs",
            "Comparisons of served with offline features in the last day, by result.",
            "compared.",
            "failed: the monitor's log says why; Skew by feature is then old.",
            number(
                "none",
                Line(f"sum by (result) (increase(tidegate_skew_runs_total{{{THIS}}}[1d]))", "{{result}}"),
                named=True,
                decimals=0,
                span=12,
            ),
            runbook="quality",
        ),
    )


def _jobs() -> tuple[Panel, ...]:
    return (
        Panel(
            "Model load failures",
            "Versions that a worker refused to load in the last 15 minutes, by reason.",
            "none.",
            "registry: MLflow is away. hash, golden, unreadable: the artifact is not what was registered. schema: trained "
            "on other features. The version before goes on serving.",
            graph(
                "none",
                Line(f"sum by (reason) (increase(tidegate_model_load_failures_total{{{THIS}}}[15m]))", "{{reason}}"),
                limits=bad_above(1),
                span=12,
            ),
            runbook="model",
        ),
        Panel(
            "Jobs",
            "Runs of training and backfill in the last day, by result.",
            "succeeded.",
            "failed: the command's own output says why and what to run.",
            graph(
                "none",
                Line(f"sum by (job, result) (increase(tidegate_job_runs_total{{{THIS}}}[1d]))", "{{job}} {{result}}"),
                span=12,
            ),
            runbook="jobs",
        ),
    )
