"""Whether topics that only fill features still do: each feed by the last merge into one of its groups."""

from monitors.alerts.burn import WINDOWS, Budget, burn_alerts, standing
from monitors.alerts.rule import DAY, MINUTE, Alert, Recording, Rule, Timing, duration
from monitors.alerts.scoring import UPSTREAM, drained_lately
from monitors.alerts.subject import ON_CALL, Subject

MERGED = "tidegate_feed_last_merge_timestamp_seconds"
AGE = "tidegate:feed_age_seconds"


def freshness(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules of `Objectives.fresh`, and of feeds that have frozen; none where every group is fed by the scored topic."""
    share = subject.objectives.fresh
    if not subject.feeds:
        return []
    watched = [*_ages(subject), _frozen(subject, timing)]
    if share is None:
        return watched
    budget = Budget(
        slo="freshness",
        title="Freshness",
        what="the time without fresh {{ $labels.group }}",
        ratio="tidegate:feeds_stale:ratio",
        share=share,
        pipeline=subject.pipeline,
        settled=f"tidegate:feed_stale:bool{{{subject.this}}}",
        unless=drained_lately(subject, timing),
        causes=UPSTREAM,
        stages=("TidegateFeedFrozen",),
    )
    stale = f"tidegate:feed_stale:bool{{{subject.this}}}"
    ratios = [
        Recording(record=f"{budget.ratio}_{window}", expr=f"avg_over_time({stale}[{timing(seconds)}])")
        for window, seconds in WINDOWS.items()
    ]
    return [*watched, *ratios, *standing(budget), *burn_alerts(budget, timing)]


def _ages(subject: Subject) -> list[Rule]:
    """How old each feed's last merge is, and whether that is too old.

    The newest merge of the last day or more counts, so that restarts of workers make no feed look fresh or frozen; where there
    was none, time counts from the oldest worker's start.
    """
    rules: list[Rule] = []
    start = f'min by (pipeline) (tidegate_process_start_time_seconds{{{subject.this},process="worker"}})'
    for feed in subject.feeds:
        these = f'{MERGED}{{{subject.this},group="{feed.group}"}}'
        back = duration(max(DAY, 2 * feed.limit_seconds))
        merged = f"max by (pipeline, group) (max_over_time({these}[{back}])) > 0"
        never = f"max by (pipeline, group) ({these}) * 0 + on (pipeline) group_left () {start}"
        rules.append(Recording(record=AGE, expr=f"time() - (({merged}) or ({never}))", labels={"group": feed.group}))
    for feed in subject.feeds:
        limit = {"pipeline": subject.pipeline, "group": feed.group}
        rules.append(Recording(record="tidegate:feed_limit_seconds", expr=f"vector({feed.limit_seconds:g})", labels=limit))
    this = subject.this
    over = f"{AGE}{{{this}}} > bool on (pipeline, group) tidegate:feed_limit_seconds{{{this}}}"
    return [*rules, Recording(record="tidegate:feed_stale:bool", expr=over)]


def _frozen(subject: Subject, timing: Timing) -> Alert:
    """Not while a backlog drains: the oldest record is next, whatever its topic, and a feed's newest wait with the others."""
    return Alert(
        name="TidegateFeedFrozen",
        family="freshness",
        severity="page",
        expr=f"{AGE}{{{subject.this}}} > on (pipeline, group) tidegate:feed_limit_seconds{{{subject.this}}} "
        f"unless on (pipeline) {drained_lately(subject, timing)}",
        after=MINUTE,
        summary="{{ $labels.group }} got its last event {{ $value | humanizeDuration }} ago",
        meaning="Its features no longer change: the model decides by how things were then.",
        panel=(ON_CALL, "Feed age"),
        muted_by=UPSTREAM,
    )
