"""What `monitors.alerts` needs to know of a pipeline, taken from its declaration."""

from collections.abc import Iterable

from featurestore.events import contract
from featurestore.plan import compile_plan
from monitors.alerts import Feed, Subject, Timing, alerts, document, scenarios
from monitors.alerts.catalogue import RUNBOOKS
from monitors.errors import ObjectiveError
from monitors.routing import MutedBy
from scorer.pipeline import Pipeline
from streams.records import REASONS


def subject_of(pipeline: Pipeline) -> Subject:
    """A pipeline as the subject of its alerts; ObjectiveError where it promises what cannot be held against anything."""
    if unknown := sorted(set(pipeline.objectives.producer_errors) - set(REASONS)):
        raise ObjectiveError(
            f"objectives of {pipeline.name}: producer_errors names {', '.join(unknown)}; reasons are {', '.join(REASONS)}"
        )
    return Subject(
        pipeline=pipeline.name,
        owner=pipeline.owner,
        team=pipeline.team,
        objectives=pipeline.objectives,
        feeds=_feeds(pipeline),
        has_band=pipeline.monitoring.decision_band is not None,
    )


def _feeds(pipeline: Pipeline) -> list[Feed]:
    """One for each topic that only fills features: the group of it that may be least old. All groups are merged at once.

    The scored topic is none: where it is silent nothing is served, and nothing tells a quiet hour from a frozen feed but last
    week's volume.
    """
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    by_topic: dict[str, Feed] = {}
    for group in plan.groups:
        if group.topic == contract(pipeline.score).topic or group.name in plan.shared:
            continue
        limit = pipeline.monitoring.feed_age_seconds(group.name)
        if group.topic not in by_topic or limit < by_topic[group.topic].limit_seconds:
            by_topic[group.topic] = Feed(group.name, limit)
    return list(by_topic.values())


def muted_by(pipelines: Iterable[Pipeline]) -> MutedBy:
    """Which alert mutes which others, over all the pipelines: names mean the same in each."""
    muted: dict[str, set[str]] = {}
    for each in (alert for pipeline in pipelines for alert in alerts(subject_of(pipeline))):
        for source in each.muted_by:
            muted.setdefault(source, set()).add(each.name)
    return {source: sorted(targets) for source, targets in muted.items()}


def files(pipeline: Pipeline, runbooks: str = RUNBOOKS, time_scale: float = 1.0) -> dict[str, str]:
    """What `tidegate alerts render` writes, by name: the rules, and at full length their tests."""
    subject = subject_of(pipeline)
    out = {f"{subject.pipeline}.rules.yml": document(subject, Timing(time_scale), runbooks)}
    if time_scale == 1:
        out |= scenarios.documents(subject)
    return out
