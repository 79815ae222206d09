"""`python -m tests.faults`, which is `make faults`: puts faults into a running Tidegate and says whether its promises held."""

import importlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tests.faults import report
from tests.faults.jobs import run_jobs
from tests.faults.model import Champion, train_champion
from tests.faults.registry import FAULTS, Fault, Progress, Run, execute

WIDTH = 140  # of the summary where it goes into a file
SCENARIOS = ("processes", "brokers", "redises", "degraded", "scale", "clocks", "soak")  # modules of this package


def load_scenarios() -> None:
    for name in SCENARIOS:
        importlib.import_module(f"tests.faults.{name}")


def chosen(only: str | None, short: bool) -> list[Fault]:
    """The faults asked for, in the order of their registration; click.BadParameter for an unknown name."""
    names = [name for name in (only or "").split(",") if name]
    if unknown := [name for name in names if name not in FAULTS]:
        raise click.BadParameter(f"there is no fault {', '.join(unknown)}; there are {', '.join(FAULTS)}", param_hint="--only")
    return [one for one in FAULTS.values() if (one.name in names if names else not short or one.short)]


@contextmanager
def shown(console: Console, name: str) -> Any:
    """A callback that says how far a fault has come: on one line of a terminal, elsewhere as lines."""
    if not console.is_terminal:
        yield lambda text: console.print(f"{name}: {text}", highlight=False)
        return
    with console.status(name) as status:
        yield lambda text: status.update(f"{name}: {text}")


@click.command()
@click.option("--list", "listed", is_flag=True, help="Name the faults and end.")
@click.option("--only", metavar="A,B", help="These faults alone.")
@click.option("--runs", type=click.IntRange(min=1), help="Injections of each fault, instead of each fault's own number.")
@click.option("--seed", default=1, show_default=True, help="What random instants and choices are drawn from.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Faults at a time, each on its own servers."
)
@click.option("--short", is_flag=True, help="Few injections of each fault; nothing is written.")
@click.option(
    "--write/--no-write",
    default=True,
    help="Write benchmarks/results/faults.json and docs/guarantees.md where a fault had its full number of runs (by default).",
)
def main(listed: bool, only: str | None, runs: int | None, seed: int, jobs: int, short: bool, write: bool) -> None:
    """Faults under load, on a Kafka and a Redis started for each; exit code 1 where a promise was broken."""
    load_scenarios()
    faults = chosen(only, short)
    if listed:
        for one in faults:
            click.echo(f"{one.name:22} {one.runs:4}  {one.summary}")
        return
    signal.signal(signal.SIGTERM, _end)
    console = Console(stderr=True)
    if jobs > 1 and len(faults) > 1:
        options = ["--seed", str(seed), *(["--runs", str(runs)] if runs else []), *(["--short"] if short else [])]
        tell = partial(console.print, highlight=False, markup=False)
        sys.exit(not run_jobs([one.name for one in faults], [*options, "--write" if write else "--no-write"], jobs, tell))
    folder = Path(tempfile.mkdtemp(prefix="tidegate-faults-"))
    console.print("training a model", highlight=False)
    champion = train_champion(folder / "model")
    rows = []
    for one in faults:
        count = runs or (one.short or 1 if short else one.runs)
        with shown(console, one.name) as tell:
            rows.append(run_one(one, count, seed, champion, folder, tell, console))
        if write and not short and rows[-1].runs >= one.runs:  # fewer prove less than the row that there is
            report.keep(rows[-1])
    Console(width=None if console.is_terminal else WIDTH).print(summary(rows))
    broken = any(row.violations for row in rows)
    if not broken:
        shutil.rmtree(folder)
    sys.exit(broken)


def run_one(one: Fault, count: int, seed: int, champion: Champion, folder: Path, tell: Progress, console: Console) -> report.Row:
    """Runs a fault and says what was violated, where the logs lie, and how to see it again."""
    run = Run(one.name, count, seed, champion, folder, tell)
    seconds = execute(one, run)
    for text in run.violations:
        console.print(f"{one.name}: VIOLATION: {text}", style="red", highlight=False, markup=False)
    if run.violations:
        again = f"make faults ONLY={one.name} RUNS={count} SEED={seed}"
        console.print(f"{one.name}: logs in {folder}/{one.name}-*; again: {again}", highlight=False, markup=False)
    return report.row(run, one.summary, seconds)


def summary(rows: Sequence[report.Row]) -> Table:
    table = Table(title=f"{len(rows)} faults, {sum(row.violations for row in rows)} violations")
    for name in ("fault", "runs", "violations", "recovery median", "longest", "took", "of it"):
        table.add_column(name)
    for row in rows:
        times = [report._seconds(value) for value in (row.recovery_seconds_median, row.recovery_seconds_max, row.seconds)]
        table.add_row(row.fault, str(row.runs), str(row.violations), *times, report._notes(row.notes))
    return table


def _end(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run in order: workers and servers are stopped on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
