"""`tidegate check`: what a pipeline declares, validated without Kafka or Redis."""

import re
from math import isnan
from typing import get_args

import click
from rich import box
from rich.console import Console
from rich.table import Table

from featurestore.definitions import seconds, span
from featurestore.errors import DefinitionError
from featurestore.events import Event, contract, field_types
from featurestore.plan import FeaturePlan, compile_plan
from scorer.labels import check_join
from scorer.pipeline import Pipeline, Task
from streams.cli.errors import told_plainly
from streams.deployments import TOPIC as DEPLOYMENTS
from streams.jobs import TOPIC as JOBS
from streams.loading import load_pipeline
from streams.outputs import TopicNames
from streams.personal import personal_fields

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@click.command(
    epilog="""\b
Example:
  tidegate check examples/flights/pipeline.py"""
)
@click.argument("pipeline")
def check(pipeline: str) -> None:
    """Validate a PIPELINE file; print its features, its state in Redis and its topics."""
    with told_plainly():
        found = load_pipeline(pipeline)
        plan = check_pipeline(found)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # a pipe has no width to fold to
    console.print(f"[bold]{found.name}[/bold]  {found.task}, owner {found.owner}, team {found.team}, model {found.model}")
    console.print(_groups(plan), _features(plan), _topics(found, plan))
    for topic, fields in personal_fields(found, plan).items():
        console.print(
            f"Personal: {', '.join(fields)} of {topic}, hashed under TIDEGATE_HASH_KEY before anything is stored or sent."
        )
    console.print(f"{len(plan.schema)} features, schema {plan.schema.fingerprint}. OK.")


def check_pipeline(pipeline: Pipeline) -> FeaturePlan:
    """The compiled plan; DefinitionError for whatever would fail later."""
    label = pipeline.label
    for what, event in {"score=": pipeline.score, "Label(...)": label.event}.items():
        if not (isinstance(event, type) and issubclass(event, Event)):
            raise DefinitionError(f"{what} is {event!r}; give the event's class itself")
    if pipeline.task not in get_args(Task):
        raise DefinitionError(f"task={pipeline.task!r} is none of {', '.join(get_args(Task))}")
    if not callable(label.value):
        raise DefinitionError("label: value= is a function of the label's event, such as lambda event: event.fraud")
    if not pipeline.features:
        raise DefinitionError("features= is empty; declare one at least")
    seconds(label.maturity)
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    events = list(dict.fromkeys([*plan.history_events, label.event]))
    for name in [TopicNames.of(pipeline.name).predictions, *(contract(event).topic for event in events)]:
        if not _TOPIC.fullmatch(name):
            raise DefinitionError(f"{name!r} cannot be a topic: letters, digits, '.', '_' and '-', 249 at most, are allowed")
    for event in events:
        _check_event(event)
    if label.id not in field_types(label.event):
        raise DefinitionError(f"label: {label.event.__name__} has no field {label.id!r} to find the scored event by")
    check_join(pipeline)
    return plan


def _events(pipeline: Pipeline, plan: FeaturePlan) -> list[type[Event]]:
    return list(dict.fromkeys([*plan.events, pipeline.label.event]))


def _check_event(event: type[Event]) -> None:
    agreed, types = contract(event), field_types(event)
    if types[agreed.id].nullable or types[agreed.id].kind not in ("str", "int"):
        raise DefinitionError(f"event {event.__name__}: id field {agreed.id!r} must be text or a whole number, never null")
    declared = types[agreed.time]
    if declared.kind not in ("float", "int") or declared.nullable:
        raise DefinitionError(f"event {event.__name__}: time field {agreed.time!r} must be a number of seconds, never null")


def _table(title: str, *headings: str) -> Table:
    table = Table(*headings, title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    return table


def _groups(plan: FeaturePlan) -> Table:
    table = _table("Feature groups", "group", "fed by", "entity", "windows", "bytes an entity")
    for group in plan.groups:
        spans = [*group.on.windows, *([f"half-life {group.on.half_life}"] if group.on.half_life else [])]
        owner, size = plan.shared.get(group.name), f"{group.length * 8:,}"
        kept = f"{size}, kept by {owner}" if owner else size
        table.add_row(group.name, group.topic, ", ".join(group.by), ", ".join(spans), kept)
    return table


def _features(plan: FeaturePlan) -> Table:
    policies = _policies(plan)
    table = _table("Features", "#", "name", "type", *(["freshness"] if policies else []))
    for i, column in enumerate(plan.schema.columns):
        table.add_row(str(i), column.name, column.kind.value, *([policies.get(i, "")] if policies else []))
    return table


def _policies(plan: FeaturePlan) -> dict[int, str]:
    """What is said of the freshness of each column that has a policy, by its place."""
    said = {}
    for reads in plan.reads:
        for policy in reads.policies:
            otherwise = "refuse to score" if policy.refuses else "null" if isnan(policy.otherwise) else f"{policy.otherwise:g}"
            for place in reads.places[policy.columns].tolist():
                said[place] = f"older than {span(policy.max_age)}, or missing: {otherwise}"
    return said


def _topics(pipeline: Pipeline, plan: FeaturePlan) -> Table:
    table = _table("Topics", "topic", "what for")
    read = {contract(event).topic for event in _events(pipeline, plan)}
    for event in _events(pipeline, plan):
        topic = contract(event).topic
        uses = ["scored"] if event is plan.scored else []
        uses += ["features"] if plan.written_by(topic) else []
        uses += ["labels"] if event is pipeline.label.event else []
        table.add_row(topic, "read: " + ", ".join(uses))
    for group in plan.groups:
        if group.name in plan.shared and contract(group.on.event).topic not in read:
            table.add_row(group.topic, f"not read: {plan.shared[group.name]} does; training needs its history")
    names = TopicNames.of(pipeline.name)
    table.add_row(names.predictions, "written: one record a scored event")
    table.add_row(names.features, "written: served vectors, Arrow")
    table.add_row(names.dead_letters, "written: records that break a contract, events that cannot be scored")
    table.add_row(DEPLOYMENTS, "read by workers, written by train --promote")
    table.add_row(JOBS, "read by the monitor, written by train and backfill: how each run ended")
    return table
