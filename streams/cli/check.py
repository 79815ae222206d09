"""`tidegate check`: what a pipeline declares, validated without Kafka or Redis."""

import click
from rich import box
from rich.console import Console
from rich.table import Table

from featurestore.errors import DefinitionError
from featurestore.events import contract, field_types
from featurestore.plan import FeaturePlan, compile_plan
from scorer.pipeline import Pipeline
from streams.cli.errors import told_plainly
from streams.loading import load_pipeline


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
    console.print(f"{len(plan.schema)} features, schema {plan.schema.fingerprint}. OK.")


def check_pipeline(pipeline: Pipeline) -> FeaturePlan:
    """The compiled plan; DefinitionError for whatever would fail later."""
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    for event in plan.events:
        agreed = contract(event)
        types = field_types(event)
        if types[agreed.id].nullable or types[agreed.id].kind not in ("str", "int"):
            raise DefinitionError(f"event {event.__name__}: id field {agreed.id!r} must be text or a whole number, never null")
        declared = types[agreed.time]
        if declared.kind not in ("float", "int") or declared.nullable:
            raise DefinitionError(f"event {event.__name__}: time field {agreed.time!r} must be a number of seconds, never null")
    label = pipeline.label
    if label.id not in field_types(label.event):
        raise DefinitionError(f"label: {label.event.__name__} has no field {label.id!r} to find the scored event by")
    return plan


def _table(title: str, *headings: str) -> Table:
    table = Table(*headings, title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    return table


def _groups(plan: FeaturePlan) -> Table:
    table = _table("Feature groups", "group", "fed by", "entity", "windows", "bytes an entity")
    for group in plan.groups:
        table.add_row(group.name, group.topic, ", ".join(group.by), ", ".join(group.on.windows), f"{group.length * 8:,}")
    return table


def _features(plan: FeaturePlan) -> Table:
    table = _table("Features", "#", "name", "type")
    for i, column in enumerate(plan.schema.columns):
        table.add_row(str(i), column.name, column.kind.value)
    return table


def _topics(pipeline: Pipeline, plan: FeaturePlan) -> Table:
    from streams.outputs import TopicNames

    table = _table("Topics", "topic", "what for")
    label_topic = contract(pipeline.label.event).topic
    for event in plan.events:
        agreed = contract(event)
        uses = ["scored" if event is plan.scored else "", "features" if plan.written_by(agreed.topic) else ""]
        uses.append("labels" if agreed.topic == label_topic else "")
        table.add_row(agreed.topic, "read: " + ", ".join(use for use in uses if use))
    names = TopicNames.of(pipeline.name)
    table.add_row(names.predictions, "written: one record a scored event")
    table.add_row(names.features, "written: served vectors, Arrow")
    table.add_row(names.dead_letters, "written: records that break a contract")
    return table
