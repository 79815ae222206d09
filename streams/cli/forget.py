"""`tidegate forget`: options to an entity forgotten; the work is streams.forgetting's."""

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from streams.cli.errors import told_plainly
from streams.cli.options import user
from streams.loading import load_pipeline
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.forgetting import Forgotten


@click.command(
    epilog="""\b
Examples:
  export TIDEGATE_HASH_KEY=$(openssl rand -hex 32)      once, for workers too; keep it as you keep other secrets
  tidegate forget pipeline.py user=u7 --why "request 4711"
  tidegate forget flights.py origin=JFK,dest=LAX"""
)
@click.argument("pipeline")
@click.argument("entity", metavar="ENTITY=VALUE")
@click.option("--who", default=user, help="Who asks for it; by default the user.")
@click.option("--why", default="", help="Why, for the record; name nobody here.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(pipeline: str, entity: str, who: str, why: str, yes: bool) -> None:
    """Forget an entity of a PIPELINE: delete its online features for good, and keep the act.

    Deletes its state in every group keyed by it, also with other fields, in old namespaces, too. The act goes to the topic
    tidegate.audit with a hash of the entity under TIDEGATE_HASH_KEY; workers, backfill and train leave out its events from before
    the act, and need the same key from then on: without it a worker stops, and does not start. Kafka's records cannot be deleted
    one by one: what remains where, and until when, is listed.
    """
    from featurestore.redis_client import connect
    from streams.audit import required_key
    from streams.cli.features import give_up
    from streams.forgetting import forget as forget_entity
    from streams.inspection import parse_entity

    with told_plainly():
        settings = Settings.from_environment(os.environ)
        found, values = load_pipeline(pipeline), parse_entity(entity)
        assert settings.kafka  # what is missing is told before anybody is asked
        assert settings.redis
        required_key(settings)
        if not yes:
            click.echo(f"Workers of {found.name} need this TIDEGATE_HASH_KEY, too: one without it stops at the act.")
            click.confirm(f"Delete what is known of {entity} in {found.name} for good?", abort=True)

        async def whole() -> "Forgotten":
            client = connect(settings.redis, on_retry=give_up())
            try:
                return await forget_entity(found, settings, client, values, who, why)
            finally:
                await client.aclose()

        done = asyncio.run(whole())
    for line in told(done):
        click.echo(line)


def told(done: "Forgotten") -> list[str]:
    """What was done and what remains, for people; the entity itself is not named again."""
    lines = [f"{name}: {count:,} deleted" for name, count in done.states.items()]
    if not any(done.states.values()):
        lines.append("No state was there (mistyped? old events of it, read again, would still not count).")
    lines += [f"act {done.act.act_id} is in tidegate.audit", "What Kafka still holds, if nothing new comes:"]
    for one in done.remains:
        lines.append(f"  {one.topic:<40} {one.what}, {'for ever' if one.until is None else 'until ' + _day(one.until)}")
    for owner in done.elsewhere:
        lines.append(f"Groups of {owner} are read here and kept there: tidegate forget there as well.")
    lines.append("Parquet files, copies of Redis and trained models are yours to look after. Restored a copy? Forget once more.")
    return lines


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
