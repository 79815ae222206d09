"""`tidegate doctor`: is this machine ready, and are the servers the environment names fit for the job?

The checks are streams.embedded's; this file prints them as a table and turns a `fail` into exit code 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.embedded.checks import Check, host_checks
from streams.embedded.checks_external import kafka_check, redis_checks
from streams.embedded.stack import KAFKA_VARIABLE, REDIS_VARIABLE

COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command(
    epilog="""\b
Examples:
  tidegate doctor
  REDIS_URL=redis://cache:6379/0 KAFKA_BOOTSTRAP_SERVERS=broker:9092 tidegate doctor

The second form also asks those servers whether they answer, and Redis whether it would lose state."""
)
def doctor() -> None:
    """Check this machine and the servers in the environment; exit code 1 when something would not work."""
    found = list(checks(os.environ))
    console = Console()
    console.print(_table(found))
    failures = sum(check.status == "fail" for check in found)
    if failures:
        raise click.exceptions.Exit(1)
    console.print("Ready." if all(check.status == "ok" for check in found) else "Ready, with the warnings above.")


def checks(environ: Mapping[str, str]) -> Iterator[Check]:
    """Every check that applies here."""
    servers, url = environ.get(KAFKA_VARIABLE), environ.get(REDIS_VARIABLE)
    yield from host_checks(environ, external_kafka=bool(servers), external_redis=bool(url))
    if servers:
        yield kafka_check(servers)
    if url:
        yield from redis_checks(url)


def _table(found: list[Check]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("check", "", "found", "remedy"):
        table.add_column(heading, overflow="fold")  # a path that is cut short helps nobody
    for check in found:
        # Text, not markup: paths and messages may hold square brackets.
        table.add_row(check.name, Text(check.status, COLOURS[check.status]), Text(check.found), Text(check.remedy))
    return table
