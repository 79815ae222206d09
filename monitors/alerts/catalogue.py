"""All rules of a pipeline, by group, and the document that Prometheus reads."""

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from monitors.alerts.drift import drift, quality
from monitors.alerts.freshness import freshness
from monitors.alerts.lag import lag
from monitors.alerts.model import model
from monitors.alerts.presence import presence, traffic
from monitors.alerts.process import jobs, processes
from monitors.alerts.rule import Alert, Rule, Timing
from monitors.alerts.scoring import latency, rejects, scoring
from monitors.alerts.subject import Subject

RUNBOOKS = "docs/runbooks"
# In this order: what reads a recorded series comes after it.
GROUPS: Mapping[str, Callable[[Subject, Timing], list[Rule]]] = {
    "lag": lag,
    "scoring": scoring,
    "latency": latency,
    "rejects": rejects,
    "freshness": freshness,
    "model": model,
    "presence": presence,
    "traffic": traffic,
    "drift": drift,
    "quality": quality,
    "processes": processes,
    "jobs": jobs,
}


def rules(subject: Subject, timing: Timing | None = None) -> dict[str, list[Rule]]:
    """The rules of a pipeline by group; groups without rules are left out."""
    timing = timing or Timing()
    return {name: found for name, make in GROUPS.items() if (found := make(subject, timing))}


def group_name(subject: Subject, name: str) -> str:
    """What Prometheus calls a group of rules: its names are of all files together."""
    return f"{subject.pipeline}-{name}"


def alerts(subject: Subject) -> list[Alert]:
    """The alerts of a pipeline."""
    return [rule for group in rules(subject).values() for rule in group if isinstance(rule, Alert)]


def document(subject: Subject, timing: Timing | None = None, runbooks: str = RUNBOOKS) -> str:
    """A rules file for Prometheus. `runbooks` begins the link to each alert's section: a folder, or a URL."""
    timing = timing or Timing()
    groups = [
        {"name": group_name(subject, name), "rules": [_rule(rule, subject, timing, runbooks) for rule in found]}
        for name, found in rules(subject, timing).items()
    ]
    head = f"# Made from the objectives of {subject.pipeline} by: tidegate alerts render. Change those, not this.\n"
    return head + yaml.safe_dump({"groups": groups}, sort_keys=False, width=10_000, allow_unicode=True)


def _rule(rule: Rule, subject: Subject, timing: Timing, runbooks: str) -> dict[str, Any]:
    if not isinstance(rule, Alert):
        labels = {"labels": dict(rule.labels)} if rule.labels else {}
        return {"record": rule.record, "expr": rule.expr, **labels}
    dashboard, panel = rule.panel
    waits = {"for": rule.after, "keep_firing_for": rule.lingers}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **{name: timing(seconds) for name, seconds in waits.items() if seconds},
        "labels": {
            "pipeline": subject.pipeline,
            "owner": subject.owner,
            "team": subject.team,
            "family": rule.family,
            "severity": rule.severity,
        },
        "annotations": {
            "summary": f"{subject.pipeline}: {rule.summary}",
            "description": rule.meaning,
            "runbook": f"{runbooks}/{rule.family}.md#{rule.name.lower()}",
            "dashboard": f"{dashboard}: {panel}",
        },
    }
