"""`tidegate doctor`: is this machine ready, are the servers the environment names fit for the job, and may a pipeline go live?

The checks are streams.embedded's; this file chooses them, prints them as a table and turns a `fail` into exit code 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.cli.errors import told_plainly
from streams.embedded.checks import Check, host_checks
from streams.embedded.checks_external import kafka_check, redis_checks
from streams.embedded.external import broker_addresses
from streams.embedded.stack import KAFKA_VARIABLE, REDIS_VARIABLE

COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}
MOST_COLUMNS = 200  # where nobody's terminal says how wide it is


@click.command(
    epilog="""\b
Examples:
  tidegate doctor
  REDIS_URL=redis://cache:6379/0 KAFKA_BOOTSTRAP_SERVERS=broker:9092 tidegate doctor
  tidegate doctor pipeline.py
  tidegate doctor --production pipeline.py --deploy deploy

The second form also asks those servers whether they answer, and Redis whether it would lose state; the third, whether the
pipeline's topics keep what its windows need, whether its registry answers and a champion is deployed."""
)
@click.argument("pipeline", required=False)
@click.option(
    "--production",
    is_flag=True,
    help="Also fail on what only trying out may lack: alerts rendered and routed, owner and team, TLS and ACLs, a price, an AOF.",
)
@click.option(
    "--deploy",
    default=Path("deploy"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="With --production: the folder with prometheus/PIPELINE.rules.yml and alertmanager/alertmanager.yml.",
)
def doctor(pipeline: str | None, production: bool, deploy: Path) -> None:
    """Check this machine and the servers in the environment, for PIPELINE if named; exit code 1 when something would not work."""
    if production and pipeline is None:
        raise click.UsageError("--production is of a pipeline: tidegate doctor --production PIPELINE")
    with told_plainly():
        found = list(checks(os.environ))
        if pipeline is not None:
            found += of_pipeline(pipeline, os.environ, found, deploy if production else None)
    if production:
        from streams.embedded.checks_production import hardened

        found = list(hardened(found))
    _tell(found)


def _tell(found: list[Check]) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = MOST_COLUMNS
    console.print(_table(found))
    if any(check.status == "fail" for check in found):
        raise click.exceptions.Exit(1)
    console.print("Ready." if all(check.status == "ok" for check in found) else "Ready, with the warnings above.")


def checks(environ: Mapping[str, str]) -> Iterator[Check]:
    """Every check that applies here."""
    from streams.embedded.checks_versions import kafka_version, packages

    servers, url = environ.get(KAFKA_VARIABLE), environ.get(REDIS_VARIABLE)
    yield packages()
    yield from host_checks(environ, external_kafka=bool(servers), external_redis=bool(url))
    if servers:
        answered = kafka_check(servers)
        yield answered
        if answered.status != "fail":
            yield kafka_version(broker_addresses(servers))
    if url:
        yield from redis_checks(url)


def of_pipeline(pipeline: str, environ: Mapping[str, str], found: list[Check], deploy: Path | None) -> list[Check]:
    """What there is to say of one pipeline; with `deploy` also whether it may go live. ``found``: which servers answer."""
    from streams.cli.check import check_pipeline
    from streams.embedded.checks_pipeline import pipeline_checks
    from streams.embedded.checks_production import production_checks
    from streams.loading import load_pipeline
    from streams.settings import Settings

    loaded, settings = load_pipeline(pipeline), Settings.from_environment(environ)
    plan = check_pipeline(loaded)
    silent = {check.name for check in found if check.status == "fail"}
    kafka, redis = "Kafka" not in silent, "Redis" not in silent
    more = list(pipeline_checks(loaded, plan, settings, kafka=kafka))
    if deploy is not None:
        more += production_checks(loaded, plan, settings, deploy, kafka=kafka, redis=redis)
    return more


def _table(found: list[Check]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("check", "", "found", "remedy"):
        table.add_column(heading, overflow="fold")  # a path that is cut short helps nobody
    for check in found:
        # Text, not markup: paths and messages may hold square brackets.
        table.add_row(check.name, Text(check.status, COLOURS[check.status]), Text(check.found), Text(check.remedy))
    return table
