"""`tidegate lag`: how far consumer groups are behind, as a table once, or as metrics until a signal."""

import asyncio
import logging
import os
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click
from rich.console import Console

from featurestore.definitions import seconds, span
from streams.cli.errors import told_plainly
from streams.cli.options import pages
from streams.settings import Settings

if TYPE_CHECKING:
    from monitors.lag_snapshot import Snapshot

MOST_COLUMNS = 200  # where nobody's terminal says how wide it is


@click.command(
    epilog="""\b
Examples:
  tidegate lag --once
  tidegate lag --once --group 'tidegate.*' --group billing --json
  tidegate lag --interval 15s

It needs KAFKA_BOOTSTRAP_SERVERS and nothing else: no pipeline, no worker, no Redis. It joins no group and commits nothing."""
)
@click.option("--group", "groups", multiple=True, help="A group's name, or a glob; several may be given. By default all groups.")
@click.option("--interval", default="6s", show_default=True, help="Time between two looks.")
@pages(6068)
@click.option(
    "--once", "only_once", is_flag=True, help="Print a table; 1 where a partition is stopped or stalled or lost records."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a partition, after each look.")
def lag(groups: tuple[str, ...], interval: str, web_host: str, web_port: int, only_once: bool, as_json: bool) -> None:
    """Watch how far any consumer group is behind, in records and in seconds, until SIGTERM or Ctrl-C."""
    from streams.lag.running import once, serve
    from streams.lag.watch import Watcher

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)  # what it would log is told once, by us
    with told_plainly():
        length = float(seconds(interval))
        watcher = Watcher(Settings.from_environment(os.environ).kafka, groups, length)
        if only_once:
            found = asyncio.run(once(watcher, length))
            sys.exit(_show(found, length, as_json) or _missed(found, groups))
        started = f"looking every {interval}; http://{web_host}:%s/metrics (Ctrl-C ends)"
        asyncio.run(
            serve(
                watcher,
                length,
                (web_host, web_port),
                started=lambda port: click.echo(started % port, err=True),
                seen=_print_lines if as_json else lambda _: None,
            )
        )


def _print_lines(found: "Snapshot") -> None:
    from streams.lag.table import lines

    for line in lines(found):
        click.echo(line)


def _show(found: "Snapshot", interval_seconds: float, as_json: bool) -> int:
    """Prints what was found; the exit code."""
    from streams.lag.table import table

    if as_json:
        _print_lines(found)
    elif not found.partitions:
        click.echo("No group that is watched has committed anything or has a partition.")
    else:
        console = Console()
        if not console.is_terminal:
            console.width = MOST_COLUMNS
        console.print(table(found))
        click.echo(_told(found, interval_seconds))
    return int(any(one.alarming for one in found.partitions))


def _missed(found: "Snapshot", groups: tuple[str, ...]) -> int:
    """1, and said on stderr, where a name or glob fits no group that has a partition: a typo must not pass for good news."""
    there = {one.group for one in found.partitions}
    missed = [name for name in groups if not any(fnmatchcase(group, name) for group in there)]
    for name in missed:
        click.echo(f"No group fits {name!r}, or it has committed nothing; all groups: tidegate lag --once", err=True)
    return int(bool(missed))


def _told(found: "Snapshot", interval_seconds: float) -> str:
    """What the table rests on."""
    words = ["One look."]
    if found.looks > 1:
        apart = span(interval_seconds)
        words = [f"Two looks, {apart} apart: a group that commits more seldom seems to stand. Without --once it shows in time."]
    if any(one.producer_time for one in found.partitions):
        words.append("* the producers' time, not the broker's.")
    return "\n".join(words)
