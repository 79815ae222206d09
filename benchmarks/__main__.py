"""`python -m benchmarks`, which is `make bench`: measures, prints tables, writes docs/performance.md and latest.json."""

from pathlib import Path

import click
from rich.console import Console

from benchmarks import profile, report
from benchmarks.contenders import WORKER
from benchmarks.drain import drain
from benchmarks.only import only_option
from benchmarks.part import Options
from benchmarks.parts import PARTS
from benchmarks.workload import RATE, SEED, Workload, prepared
from examples.payments.generate import Stream

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
DOCUMENT = HERE.parent / "docs" / "performance.md"


@click.command()
@only_option(list(PARTS))
@click.option("--events", default=400_000, show_default=True, help="Events in the topic.")
@click.option("--rounds", default=3, show_default=True, help="How often every contender drains it, in turn.")
@click.option("--profile", "profile_seconds", default=0, help="Only profile the worker, for so many seconds; nothing is written.")
@click.option("--write/--no-write", default=True, help="Write docs/performance.md and results/latest.json (by default yes).")
def main(only: list[str], events: int, rounds: int, profile_seconds: int, write: bool) -> None:
    """What a worker does and costs, on a Kafka and a Redis started for each part; rows of other parts stay as they are."""
    options = Options(events, rounds, Console(stderr=True))
    if profile_seconds:
        with prepared(options.console) as workload:
            click.echo(profiled(workload, events, profile_seconds))
        return
    for part in only:
        measured = PARTS[part](options)
        click.echo(measured.text)
        if write:
            rows = report.write_rows(RESULTS, part, measured.rows)
            report.write_between_markers(DOCUMENT, part, measured.text)
            report.write_between_markers(DOCUMENT, "bars", report.bars(rows))


def profiled(workload: Workload, events: int, seconds: int) -> str:
    """The worker's profile twice over: of all threads, and of those that hold the interpreter."""
    workload.fill(Stream(events, RATE, SEED))
    parts = []
    for gil in (False, True):
        found: dict[str, int] = {}

        def spy(pid: int, gil: bool = gil, found: dict[str, int] = found) -> None:
            found.update(profile.record(pid, seconds, workload.folder, gil=gil))

        drain(workload, WORKER, events, lambda *_: None, spy)
        parts.append(f"{'holding the interpreter' if gil else 'all threads'}\n\n{profile.table(found, seconds)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
