"""Whether workers keep up with their topics, by `tidegate lag`. A backlog that drains stays silent."""

from monitors.alerts.rule import MINUTE, Alert, Recording, Rule, Timing
from monitors.alerts.scoring import UPSTREAM
from monitors.alerts.subject import ON_CALL, Subject

STALLED = 3  # monitors.lag.CODES: stalled, and worse
RETENTION_USED = 0.5  # at 1 Kafka deletes records unread; a night is left to mend what has a day's retention
MONITOR_LAG_SECONDS = 300
# Who waits behind a backlog is late already and is being served; 5 s is more than a chunk's pause or a rebalance.
BACKLOG_SECONDS = 5


def lag(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules on the workers' and the monitor's consumer group."""
    workers, this = subject.workers, subject.this
    seconds, records = f"tidegate:lag_seconds:max{{{this}}}", f"tidegate:lag_records:sum{{{this}}}"
    window = timing(2 * MINUTE)
    named = {"pipeline": subject.pipeline}
    return [
        Recording(record="tidegate:lag_seconds:max", expr=f"max(tidegate_consumer_lag_seconds{{{workers}}})", labels=named),
        Recording(record="tidegate:lag_records:sum", expr=f"sum(tidegate_consumer_lag_records{{{workers}}})", labels=named),
        _draining(subject, timing),
        Alert(
            name="TidegateLagHigh",
            family="lag",
            severity="page",
            expr=f"{seconds} > {subject.objectives.lag_seconds:g} "
            f"and delta({seconds}[{window}]) >= 0 and delta({records}[{window}]) >= 0",
            after=5 * MINUTE,
            summary="workers are {{ $value | humanizeDuration }} behind, and do not catch up",
            meaning="Predictions come that late. Events come faster than they are scored, or nothing is scored.",
            panel=(ON_CALL, "Lag in seconds"),
            muted_by=(*UPSTREAM, "TidegateConsumerStalled"),
        ),
        Alert(
            name="TidegateConsumerStalled",
            family="lag",
            severity="page",
            # tidegate lag calls it stalled after a minute of standing: five minutes in all.
            expr=f"max by (topic, partition) (tidegate_consumer_lag_status{{{workers}}}) >= {STALLED}",
            after=4 * MINUTE,
            summary="partition {{ $labels.partition }} of {{ $labels.topic }} stands still with events waiting",
            meaning="Its events get no predictions, though others may.",
            panel=(ON_CALL, "Consumer status"),
            muted_by=UPSTREAM,
        ),
        Alert(
            name="TidegateRetentionUsed",
            family="lag",
            severity="escalate",
            expr=f"max by (topic) (tidegate_consumer_retention_used_ratio{{{workers}}}) > {RETENTION_USED}",
            after=MINUTE,
            summary="{{ $value | humanizePercentage }} of the retention of {{ $labels.topic }} is used; then events are lost",
            meaning="At 100 % Kafka deletes events that no worker has read.",
            panel=(ON_CALL, "Retention used"),
        ),
        Alert(
            name="TidegateRecordsLost",
            family="lag",
            severity="escalate",
            expr=f"max by (topic) (tidegate_consumer_lost_records{{{workers}}}) > 0",
            summary="{{ $value | humanize }} records of {{ $labels.topic }} were deleted before a worker read them",
            meaning="Their predictions are missing, and features lack them until they are filled again.",
            panel=(ON_CALL, "Lost records"),
        ),
        Alert(
            name="TidegateMonitorLag",
            family="drift",
            severity="ticket",
            expr=f"max(tidegate_consumer_lag_seconds{{{subject.monitors}}}) > {MONITOR_LAG_SECONDS}",
            after=15 * MINUTE,
            summary="the monitor is {{ $value | humanizeDuration }} behind",
            meaning="Predictions are not affected; what drifts is told that much later.",
            panel=(ON_CALL, "Lag in seconds"),
            muted_by=("TidegateMonitorAbsent", "TidegateStoreUnavailable", "TidegateKafkaSilent"),
        ),
    ]


def _draining(subject: Subject, timing: Timing) -> Recording:
    """1 while workers are behind and catch up. A burst's records are of one age: their number falls before their age does."""
    window = timing(MINUTE)
    falls = " or ".join(
        f"delta({series}{{{subject.this}}}[{window}]) < 0" for series in ("tidegate:lag_seconds:max", "tidegate:lag_records:sum")
    )
    behind = f"tidegate:lag_seconds:max{{{subject.this}}} > bool {BACKLOG_SECONDS}"
    return Recording(
        record="tidegate:backlog_draining:bool",
        expr=f"({behind}) * on (pipeline) group_left () (count by (pipeline) ({falls}) > bool 0)",
    )
