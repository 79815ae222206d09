"""Whether the processes are there, what they stand on answers, and events come. Never gated by traffic."""

from monitors.alerts.rule import HOUR, MINUTE, Alert, Recording, Rule, Timing
from monitors.alerts.subject import ON_CALL, Subject

STARTED = "tidegate_process_start_time_seconds"
LOOKED = "tidegate_lag_last_look_timestamp_seconds"
# Without traffic there is nothing to compare: a night of 100 events an hour is no sign of anything.
KNOWN_EVENTS_PER_HOUR = 500
# What an outage mutes is not over with it: workers take over partitions, a backlog drains, and rates remember for 5m.
SETTLES = 5 * MINUTE


def presence(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules on workers, monitor and lag process, Redis and Kafka; and the watchdog."""
    this = subject.this
    silent = ("TidegateKafkaSilent",)
    return [
        _absent(
            "Worker", f'{STARTED}{{{this},process="worker"}}', 2 * MINUTE, "Nothing is scored; events wait in Kafka.", silent
        ),
        _absent(
            "Monitor",
            f'{STARTED}{{{this},process="monitor"}}',
            5 * MINUTE,
            "Drift, quality and decisions are not watched.",
            silent,
        ),
        _absent("Lag", LOOKED, 5 * MINUTE, "Nobody sees whether workers stand still or fall behind.", ()),
        Alert(
            name="TidegateKafkaSilent",
            family="presence",
            severity="page",
            expr=f"time() - max({LOOKED}) > 60",
            after=MINUTE,
            lingers=SETTLES,
            summary="Kafka has not answered `tidegate lag` for {{ $value | humanizeDuration }}",
            meaning="Most likely Kafka is down or cannot be reached; then nothing is scored.",
            panel=(ON_CALL, "Failed looks of the lag monitor"),
        ),
        Alert(
            name="TidegateStoreUnavailable",
            family="store",
            severity="page",
            expr=f"max by (pipeline) (tidegate_store_unavailable{{{this}}}) == 1",
            after=MINUTE,
            lingers=SETTLES,
            summary="Redis does not answer the workers",
            meaning="Workers wait with what they read, or, where the pipeline declares it, score without stored features.",
            panel=(ON_CALL, "Redis"),
        ),
        Alert(
            name="TidegateWatchdog",
            family="watchdog",
            severity="none",
            expr="vector(1)",
            summary="always fires: its absence is the alert",
            meaning="An outside heartbeat that no longer hears it knows that Prometheus or Alertmanager is gone.",
            panel=(ON_CALL, "Alerts"),
        ),
    ]


def _absent(what: str, series: str, after: float, meaning: str, muted_by: tuple[str, ...]) -> Alert:
    return Alert(
        name=f"Tidegate{what}Absent",
        family="presence",
        severity="page",
        expr=f"absent({series})",
        after=after,
        lingers=SETTLES,
        summary=f"no {what.lower()} process answers Prometheus",
        meaning=meaning,
        panel=(ON_CALL, "Processes"),
        muted_by=muted_by,
    )


def traffic(subject: Subject, timing: Timing) -> list[Rule]:
    """Far fewer events than in the same hour last week, though nothing waits. "A week ago" is the calendar's: never scaled."""
    this = subject.this
    events = f"tidegate:events:rate_5m{{{this}}}"
    last_week = f"avg_over_time({events}[1h] offset 1w)"
    ratio = f"tidegate:volume_vs_last_week:ratio{{{this}}}"
    recently = f"max_over_time({events}[{timing(6 * HOUR)}])"
    return [
        Recording(
            record="tidegate:events:rate_5m",
            expr=f"sum by (pipeline) (rate(tidegate_events_total{{{this}}}[{timing(5 * MINUTE)}]))",
        ),
        Recording(record="tidegate:volume_vs_last_week:ratio", expr=f"{events} / ({last_week} > 0)"),
        Alert(
            name="TidegateVolumeLow",
            family="traffic",
            severity="page",
            expr=f"{ratio} < {subject.objectives.volume:g} and {last_week} * 3600 >= {KNOWN_EVENTS_PER_HOUR} "
            f"unless on (pipeline) tidegate:lag_seconds:max{{{this}}} > {subject.objectives.lag_seconds:g}",
            after=10 * MINUTE,
            summary="{{ $value | humanizePercentage }} of the events of the same hour last week",
            meaning="Nothing waits in Kafka: the producers send less, or elsewhere.",
            panel=(ON_CALL, "Volume against last week"),
            muted_by=(
                "TidegateWorkerAbsent",
                "TidegateStoreUnavailable",
                "TidegateKafkaSilent",
                "TidegateConsumerStalled",
                "TidegateLagHigh",
            ),
        ),
        Alert(
            name="TidegateTrafficStopped",
            family="traffic",
            severity="ticket",
            expr=f"{events} == 0 and {recently} * 3600 >= {KNOWN_EVENTS_PER_HOUR} unless on (pipeline) {last_week}",
            after=15 * MINUTE,
            summary="no events, after a busy time within the last 6 hours; there is no last week to compare with",
            meaning="In the first week nobody knows which hours are quiet: a ticket, not a page.",
            panel=(ON_CALL, "Volume against last week"),
            muted_by=("TidegateWorkerAbsent", "TidegateStoreUnavailable", "TidegateKafkaSilent"),
        ),
    ]
