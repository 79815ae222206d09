"""What the monitor says of served vectors and decisions: drift, data quality, skew. Mostly tickets: few of them hurt tonight."""

from monitors.alerts.burn import WINDOWS, Budget, slow_burn, standing
from monitors.alerts.rule import DAY, Alert, Recording, Rule, Timing
from monitors.alerts.scoring import drained_lately
from monitors.alerts.subject import DEBUG, ON_CALL, Subject

DRIFT, TICKET = 2, 2  # monitors.monitor_metrics: STATES, SEVERITIES
BREACHES = 2  # windows in a row
BLIND_DAYS, BLIND_ROWS = 3, 1_000


def drift(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules on features and predictions, and of `Objectives.undrifted`."""
    this = subject.this
    states = f"tidegate_feature_drift_state{{{this}"
    features, predictions = (
        f'{states},feature!~"prediction[.].*"}} == {DRIFT}',
        f'{states},feature=~"prediction[.].*"}} == {DRIFT}',
    )
    return [
        Alert(
            name="TidegateFeatureDrift",
            family="drift",
            severity="ticket",
            expr=f"max by (pipeline, feature) (tidegate_feature_drift_severity{{{this}}}) == {TICKET}",
            summary="{{ $labels.feature }} is not what the model was trained on",
            meaning="Two of the last three windows, beyond chance and beyond what the season explains.",
            panel=(DEBUG, "Drift state by feature"),
        ),
        Alert(
            name="TidegateDriftWithPredictions",
            family="drift",
            severity="page",
            # A feed's events and the scored ones come in other order while a backlog drains: features are older, or clumped.
            expr=f"count by (pipeline) ({features}) and on (pipeline) count by (pipeline) ({predictions}) "
            f"unless on (pipeline) {drained_lately(subject, timing)}",
            summary="{{ $value }} features drift, and the predictions with them",
            meaning="What changed reaches the decisions.",
            panel=(DEBUG, "Drift state by feature"),
        ),
        *_budget(subject, timing),
        _blind(subject, timing),
        *([_decisions(subject)] if subject.has_band else []),
    ]


def _budget(subject: Subject, timing: Timing) -> list[Rule]:
    share = subject.objectives.undrifted
    if share is None:
        return []
    budget = Budget(
        slo="drift",
        title="Drift",
        what="the windows of features are in drift",
        ratio="tidegate:features_drifting:ratio",
        share=share,
        pipeline=subject.pipeline,
    )
    series = f"tidegate_feature_windows_total{{{subject.this}"
    ratios = [
        Recording(
            record=f"{budget.ratio}_{window}",
            expr=f'sum by (pipeline) (increase({series},state="drift"}}[{timing(seconds)}])) / '
            f'(sum by (pipeline) (increase({series},state!="unknown"}}[{timing(seconds)}])) > 0)',
        )
        for window, seconds in WINDOWS.items()
    ]
    return [*ratios, *standing(budget), slow_burn(budget, timing)]


def _blind(subject: Subject, timing: Timing) -> Alert:
    days = timing(BLIND_DAYS * DAY)
    rows = f"sum by (pipeline) (increase(tidegate_monitor_rows_total{{{subject.this}}}[{days}])) > {BLIND_ROWS}"
    known = f'sum by (pipeline) (increase(tidegate_drift_windows_total{{{subject.this},state!="unknown"}}[{days}])) > 0'
    then = f"sum by (pipeline) (tidegate_monitor_rows_total{{{subject.this}}} offset {days})"
    return Alert(
        name="TidegateDriftBlind",
        family="drift",
        severity="ticket",
        expr=f"{rows} and on (pipeline) {then} unless on (pipeline) {known}",
        summary=f"no window could be judged for {BLIND_DAYS} days, though rows came",
        meaning="The model has no reference, or windows are too large for the traffic: drift would not be seen.",
        panel=(DEBUG, "Feature windows by state"),
        muted_by=("TidegateMonitorAbsent",),
    )


def _decisions(subject: Subject) -> Alert:
    return Alert(
        name="TidegateDecisionRate",
        family="drift",
        severity="page",
        expr=f"max by (pipeline) (tidegate_decision_rate_breaches{{{subject.this}}}) >= {BREACHES}",
        summary="the share of positive decisions is outside its band for {{ $value }} windows",
        meaning="Far more or far fewer decisions than declared as in order: what acts on them does so, too.",
        panel=(ON_CALL, "Decision rate"),
    )


def quality(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules on data quality and skew."""
    this, declared = subject.this, subject.objectives
    return [
        Alert(
            name="TidegateQualityLow",
            family="quality",
            severity="ticket",
            expr=f"min by (pipeline) (tidegate_data_quality_score{{{this}}}) < {declared.quality:g}",
            summary="only {{ $value | humanizePercentage }} of the data quality checks passed",
            meaning="What is served is missing, out of range, constant, late or doubled more than it may be.",
            panel=(DEBUG, "Quality checks failed"),
        ),
        Alert(
            name="TidegateSkew",
            family="quality",
            severity="ticket",
            expr=f"max by (pipeline, feature) (tidegate_skew_ratio{{{this}}}) > {declared.skew:g}",
            summary="{{ $value | humanizePercentage }} of the served {{ $labels.feature }} differ from the same computed offline",
            meaning="The model is trained on other values than it is served.",
            panel=(DEBUG, "Skew by feature"),
        ),
    ]
