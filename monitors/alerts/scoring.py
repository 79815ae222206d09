"""Whether events are scored: all of them, by the intended model, with all features; and how fast."""

from monitors.alerts.burn import Budget, burn_alerts, quiet_alert, recorded
from monitors.alerts.rule import HOUR, MINUTE, Alert, Rule, Timing
from monitors.alerts.subject import ON_CALL, Subject
from monitors.metrics import OUTCOMES

EVENTS = "tidegate_events_total"
LATENCY = "tidegate_end_to_end_seconds"
# After a drain the 5m window still holds late events for as long; looks at lag and scrapes are up to a minute apart.
DRAINED = 6 * MINUTE
UPSTREAM = ("TidegateWorkerAbsent", "TidegateStoreUnavailable", "TidegateKafkaSilent")


def drained_lately(subject: Subject, timing: Timing) -> str:
    """Where a backlog drains, or has: what is late, or of old features, is so for that."""
    return f"max_over_time(tidegate:backlog_draining:bool{{{subject.this}}}[{timing(DRAINED)}]) == 1"


def scoring(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules of `Objectives.scored`; only the outcome `scored` is good."""
    share = subject.objectives.scored
    if share is None:
        return []
    this, window = subject.this, timing(5 * MINUTE)
    bad_outcomes = "|".join(outcome for outcome in OUTCOMES if outcome != "scored")
    budget = Budget(
        slo="scoring",
        title="Scoring",
        what="events not scored as intended",
        ratio="tidegate:scoring_errors:ratio",
        share=share,
        pipeline=subject.pipeline,
        events_per_hour=f"avg_over_time(tidegate:scoring_errors_of:rate_5m{{{this}}}[{timing(HOUR)}]) * 3600",
        settled=f"tidegate:scoring_errors_of:rate_5m{{{this}}}",
        causes=UPSTREAM,
    )
    bad = f'sum by (pipeline) (rate({EVENTS}{{{this},outcome=~"{bad_outcomes}"}}[{window}]))'
    of = f"sum by (pipeline) (rate({EVENTS}{{{this}}}[{window}]))"
    six = timing(6 * HOUR)
    count = f'sum by (pipeline) (increase({EVENTS}{{{this},outcome=~"{bad_outcomes}"}}[{six}]))'
    excused, excused_count = _excused(subject, window), _excused(subject, six, "increase")
    rules = recorded(budget, bad + excused, of + excused, timing)
    return [*rules, *burn_alerts(budget, timing), quiet_alert(budget, f"({count}{excused_count})")]


def _excused(subject: Subject, window: str, function: str = "rate") -> str:
    """What is subtracted for records that their producers broke."""
    if not subject.objectives.producer_errors:
        return ""
    reasons = "|".join(subject.objectives.producer_errors)
    return f' - sum by (pipeline) ({function}(tidegate_dead_letters_total{{{subject.this},reason=~"{reasons}"}}[{window}]))'


def latency(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules of `Objectives.fast`. While a backlog drains they do not page; it spends budget, and may make a ticket."""
    share = subject.objectives.fast
    if share is None:
        return []
    this, bound = subject.this, float(subject.objectives.latency_seconds)  # client_python writes le="0.2", and "300.0"
    budget = Budget(
        slo="latency",
        title="Latency",
        what=f"events published later than {bound:g} s",
        ratio="tidegate:latency_slow:ratio",
        share=share,
        pipeline=subject.pipeline,
        events_per_hour=f"avg_over_time(tidegate:latency_slow_of:rate_5m{{{this}}}[{timing(HOUR)}]) * 3600",
        unless=drained_lately(subject, timing),
        settled=f"tidegate:latency_slow_of:rate_5m{{{this}}}",
        causes=(*UPSTREAM, "TidegateLagHigh", "TidegateConsumerStalled"),
    )

    def counted(function: str, window: str) -> tuple[str, str]:
        of = f"sum by (pipeline) ({function}({LATENCY}_count{{{this}}}[{window}]))"
        return f'{of} - sum by (pipeline) ({function}({LATENCY}_bucket{{{this},le="{bound}"}}[{window}]))', of

    bad, of = counted("rate", timing(5 * MINUTE))
    count, _ = counted("increase", timing(6 * HOUR))
    return [
        *recorded(budget, bad, of, timing),
        *burn_alerts(budget, timing),
        quiet_alert(budget, f"({count})"),
    ]


def rejects(subject: Subject, timing: Timing) -> list[Rule]:
    """Records that are no events: their producers' fault, and somebody's loss all the same."""
    this, window = subject.this, timing(5 * MINUTE)
    letters = "tidegate_dead_letters_total"
    rejected = f'sum by (pipeline) (rate({EVENTS}{{{this},outcome="rejected"}}[{window}]))'
    share = f"{rejected} / (sum by (pipeline) (rate({EVENTS}{{{this}}}[{window}])) > 0)"
    new = f"sum by (pipeline, reason) (increase({letters}{{{this}}}[{timing(HOUR)}])) > 0"
    known = f"sum by (pipeline, reason) (increase({letters}{{{this}}}[{timing(7 * 24 * HOUR)}] offset {timing(HOUR)})) > 0"
    return [
        Alert(
            name="TidegateRejects",
            family="contract",
            severity="page",
            expr=f"{share} > {subject.objectives.rejected:g}",
            after=5 * MINUTE,
            summary="{{ $value | humanizePercentage }} of the records are refused",
            meaning="They break the event's contract, and get no prediction. Usually a producer changed what it sends.",
            panel=(ON_CALL, "Dead letters by reason"),
        ),
        Alert(
            name="TidegateDeadLetterReasonNew",
            family="contract",
            severity="ticket",
            expr=f"{new} unless on (pipeline, reason) {known}",
            summary="dead letters with a reason not seen for a week: {{ $labels.reason }}",
            meaning="Few may be nothing, or the first of many.",
            panel=(ON_CALL, "Dead letters by reason"),
        ),
    ]
