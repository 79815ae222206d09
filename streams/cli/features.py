"""`tidegate features`: look at the feature store's content, and drop what nobody needs any more. The work is done in streams."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from streams.cli.errors import told_plainly
from streams.cli.train import TIME
from streams.loading import load_pipeline
from streams.settings import Settings

if TYPE_CHECKING:
    from featurestore.redis_client import Client
    from streams.inspection import Row, Shown

TRIES = 5  # a command says that Redis is away; a worker waits


@click.group(
    epilog="""\b
Examples:
  tidegate features list pipeline.py
  tidegate features show pipeline.py user=u7
  tidegate features drop card-fraud.payment_by_user.v1.50325663c876"""
)
def features() -> None:
    """Look at the online features in Redis; drop old ones.

    Each feature group keeps its states in a namespace: pipeline, group, version and a fingerprint of everything that changes
    bytes. A changed group has a new namespace (tidegate backfill fills it); the old one stays until it is dropped.
    """


@features.command(
    "list",
    epilog="""\b
Examples:
  tidegate features list pipeline.py
  tidegate features list --all""",
)
@click.argument("pipeline", required=False)
@click.option("--all", "everything", is_flag=True, help="Those of every pipeline.")
def list_(pipeline: str | None, everything: bool) -> None:
    """List the namespaces of a PIPELINE: whether in use, how large, and how far behind what is committed.

    running: workers use it. declared: the pipeline's file declares it, no worker runs. old: entered by some worker, and not
    declared in this file. idle (with --all, which reads no file): no worker runs. unknown: there are states, and no entry.

    fences: the lowest and highest offset merged, over shards and partitions. behind: records committed and not merged. filled: by
    which backfill, until and since when; empty where workers alone did it.
    """
    from featurestore.plan import compile_plan
    from streams.inspection import survey
    from streams.topic_facts import TopicFacts

    if (pipeline is None) != everything:
        raise click.UsageError("name either a pipeline's file or --all")
    with told_plainly():
        declared: set[str] | None = None
        prefix = ""
        if pipeline is not None:
            found = load_pipeline(pipeline)
            plan = compile_plan(found.name, found.score, found.features, found.shards)
            declared, prefix = {plan.namespace(group) for group in plan.groups}, f"{found.name}."
        settings = Settings.from_environment(os.environ)
        topics = TopicFacts(settings.kafka)
        rows = _asked(settings, lambda client: survey(client, topics, prefix))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a pipe has no width to fold to
    console.print(_table(rows, declared) if rows else "No namespaces. Workers enter theirs when they start.")


def _table(rows: "list[Row]", declared: set[str] | None) -> Table:
    headings = ("namespace", "status", "entity", "entities", "MiB", "first used", "fences", "behind", "filled")
    table = Table(*headings, box=box.SIMPLE, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(
            row.name,
            _status(row, declared),
            ", ".join(row.entry.by) if row.entry else "",
            f"{row.entities:,}",
            f"{row.bytes / 2**20:,.1f}",
            _day(row.entry.first_used) if row.entry else "",
            "" if row.fences is None else f"{row.fences[0]:,} to {row.fences[1]:,}",
            "" if row.lag is None else f"{row.lag:,}",
            _filled(row),
        )
    return table


def _status(row: "Row", declared: set[str] | None) -> str:
    if row.used_by is not None:
        return "running" if row.entry and row.used_by == row.entry.pipeline else f"running ({row.used_by})"
    if row.entry is None:
        return "unknown"
    if declared is None:
        return "idle"
    return "declared" if row.name in declared else "old"


def _filled(row: "Row") -> str:
    from streams.backfill import utc

    if row.entry is None or row.entry.backfill is None:
        return ""
    filled = row.entry.backfill
    until = "" if filled.cut is None else f" until {utc(filled.cut)}"
    since = "" if filled.complete_from is None else f", complete since {utc(filled.complete_from)}"
    return f"{filled.source}{until}{since}" + ("" if filled.done else " (not to the end)")


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


@features.command(
    epilog="""\b
Examples:
  tidegate features show pipeline.py user=u7
  tidegate features show flights.py origin=JFK,dest=LAX --at 2013-07-01T12:00:00"""
)
@click.argument("pipeline")
@click.argument("entities", nargs=-1, required=True, metavar="ENTITY=VALUE...")
@click.option("--at", type=TIME, help="What an event at this time (UTC) would see; by default now.")
def show(pipeline: str, entities: tuple[str, ...], at: datetime | None) -> None:
    """Show an entity's online values in every group of a PIPELINE that is keyed by it, with their ages.

    An entity of several fields is written origin=JFK,dest=LAX; personal fields are given as events have them, not as hashes.
    Events newer than --at cannot be taken back out of a window.
    """
    from featurestore.namespaces import Namespaces
    from featurestore.plan import compile_plan
    from featurestore.redis_store import RedisStore
    from streams.inspection import parse_entity
    from streams.inspection import show as values_of
    from streams.personal import check_namespaces, pseudonyms

    moment = time.time() if at is None else at.replace(tzinfo=UTC).timestamp()
    with told_plainly():
        found = load_pipeline(pipeline)
        plan = compile_plan(found.name, found.score, found.features, found.shards)
        settings = Settings.from_environment(os.environ)

        hashing = pseudonyms(settings, found, plan) if plan.personal else None
        _asked(settings, lambda client: check_namespaces(client, plan, hashing))
        _asked(settings, lambda client: Namespaces(client).check(plan, {}, entered_only=True))  # in other shards nobody is found

        async def look() -> "list[Shown]":
            store = RedisStore(settings.redis, plan.shards, give_up())
            try:
                return [one for text in entities for one in await values_of(plan, store, parse_entity(text), moment, hashing)]
            finally:
                await store.close()

        shown = asyncio.run(look())
    for one in shown:
        _print(one)


def _print(one: "Shown") -> None:
    age = "no event" if one.age != one.age else f"newest event {_span(one.age)} before"
    late = "; late: older tiles are gone, so that values lack them" if one.late else ""
    click.echo(f"{one.group}  ({age}{late})")
    width = max(len(value.name) for value in one.values)
    for value in one.values:
        instead = "" if value.state == "FRESH" or value.served != value.served else f", served as {value.served:g}"
        number = "" if value.value != value.value else f"{value.value:,.6g}"
        click.echo(f"  {value.name:<{width}}  {number:>14}  {value.state}{instead}")


def _span(seconds: float) -> str:
    """A length of time for people.

    >>> _span(5400)
    '1.5 h'
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


@features.command(
    epilog="""\b
Examples:
  tidegate features drop card-fraud.payment_by_user.v1.50325663c876
  tidegate features drop --yes card-fraud.payment_by_user.v1.50325663c876 card-fraud.payment_by_merchant.v1.7cb72a408784"""
)
@click.argument("namespaces", nargs=-1, required=True, metavar="NAMESPACE...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Drop one that running workers use, too.")
def drop(namespaces: tuple[str, ...], yes: bool, force: bool) -> None:
    """Delete NAMESPACEs with all their states and fences.

    Refused for one that running workers use. What Kafka still holds can be counted again: by workers, or tidegate backfill.
    """
    from streams import dropping
    from streams.audit import fills, read_acts
    from streams.topic_facts import TopicFacts

    with told_plainly():
        settings = Settings.from_environment(os.environ)
        topics, acts = TopicFacts(settings.kafka), read_acts(settings.kafka)
        for name in namespaces:
            if name not in fills(acts) and not _asked(settings, partial(dropping.exists, name=name)):
                raise click.ClickException(f"there is no namespace {name}; see: tidegate features list --all")
            if not force:
                _asked(settings, partial(dropping.refuse_used, name=name, topics=topics))
        if not yes:
            click.confirm(f"Delete {', '.join(namespaces)} for good?", abort=True)
        for name in namespaces:
            if not force:  # asked again: somebody may have thought about it for long, or another drop have taken long
                _asked(settings, partial(dropping.refuse_used, name=name, topics=topics))
            gone = _asked(settings, partial(dropping.drop, name=name))
            dropping.record(settings.kafka, name, acts)
            click.echo(f"{name}: {gone:,} keys deleted")


def _asked(settings: Settings, question: "Callable[[Client], Awaitable[Any]]") -> Any:
    """The answer of Redis to one question."""
    from featurestore.redis_client import connect

    async def whole() -> Any:
        client = connect(settings.redis, on_retry=give_up())
        try:
            return await question(client)
        finally:
            await client.aclose()

    return asyncio.run(whole())


def give_up() -> Callable[[], None]:
    """To be called at each try: raises after some, because a person waits."""
    tries = 0

    def count() -> None:
        nonlocal tries
        tries += 1
        if tries == TRIES:
            raise click.ClickException("Redis does not answer; check REDIS_URL, or run: tidegate doctor")

    return count
