"""kill -9 of `tidegate monitor`, twenty times, while rows come: no window may be lost or doubled, no row counted twice."""

import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.monitor_drain import PARTITIONS, environment_of
from benchmarks.monitor_kills import run
from benchmarks.monitored import deploy
from benchmarks.report import Row
from streams.cli.progress import steps
from streams.embedded import Stack
from streams.settings import Settings

KILLS = 20
SEED = 1


def accept(console: Console) -> list[Row]:
    """What did not add up, of how much; the first things that were wrong go to the console."""
    with Stack.start() as stack, tempfile.TemporaryDirectory() as folder, steps(console) as show:
        environment = environment_of(stack, Path(folder))
        profile = deploy(Settings.from_environment(environment, Path(folder)), PARTITIONS)
        found = run(environment, profile, KILLS, SEED, lambda done: show("kill -9 of the monitor", done, KILLS))
    for line in found.wrong[:20]:
        console.print(line, style="red", highlight=False)
    return [
        report.at_most("drift/kill -9/violations", len(found.wrong), "count", 0.0),
        report.at_most("drift/kill -9/kills", KILLS, "count"),
        report.at_most("drift/kill -9/windows", found.windows, "count"),
        report.at_most("drift/kill -9/rows", found.rows, "count"),
    ]
