"""Whether the model that serves is the one that should, and young enough."""

from monitors.alerts.rule import DAY, MINUTE, Alert, Rule, Timing
from monitors.alerts.subject import DEBUG, ON_CALL, Subject

# From a deployment's record until workers must have it; and how long a breach lasts before it pages.
GRACE, BREACH = MINUTE, MINUTE


def model(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules on versions: an objective of 100 % has no burn rate, so a breach pages past its grace."""
    failed = f"tidegate_model_load_failures_total{{{subject.this}}}[{timing(15 * MINUTE)}]"
    return [
        _version(subject),
        Alert(
            name="TidegateModelLoadFailed",
            family="model",
            severity="ticket",
            expr=f"sum by (pipeline, reason) (increase({failed})) > 0",
            summary="a worker refused a model version: {{ $labels.reason }}",
            meaning="A worker that refuses ends, and is started again: others serve what they had loaded.",
            panel=(DEBUG, "Model load failures"),
        ),
        *_age(subject),
    ]


def _version(subject: Subject) -> Alert:
    this = subject.this
    expected = f"tidegate_model_expected_info{{{this}}}"
    other = f"tidegate_model_info{{{this}}} unless on (pipeline, model, version) {expected}"
    workers = f'tidegate_process_start_time_seconds{{{this},process="worker"}}'
    none = f"{workers} unless on (pipeline, job, instance) tidegate_model_info{{{this}}}"
    return Alert(
        name="TidegateModelVersionWrong",
        family="model",
        severity="page",
        expr=f"count by (pipeline) ({other} or {none}) and on (pipeline) {expected}",
        after=GRACE + BREACH,
        summary="{{ $value }} workers do not serve the model version that was deployed",
        meaning="Some decisions are made by another model than the one approved, or by none.",
        panel=(ON_CALL, "Model versions"),
    )


def _age(subject: Subject) -> list[Rule]:
    days = subject.objectives.model_age_days
    if days is None:
        return []
    trained = f"max by (pipeline) (tidegate_model_trained_timestamp_seconds{{{subject.this}}})"
    return [
        Alert(
            name="TidegateModelOld",
            family="model",
            severity="ticket",
            expr=f"time() - {trained} > {days * DAY:g}",
            after=15 * MINUTE,
            summary="the model was trained {{ $value | humanizeDuration }} ago",
            meaning=f"Older than the {days:g} days that the pipeline declares.",
            panel=(DEBUG, "Model age"),
        )
    ]
