"""`python -m benchmarks`, which is `make bench`: measures, prints a table, writes it into docs/performance.md and latest.json."""

import tempfile
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import redis
from rich.console import Console

from benchmarks import machine, profile, report
from benchmarks.agreement import check_agreement
from benchmarks.contenders import CONTENDERS, WORKER
from benchmarks.drain import Drain, drain
from benchmarks.workload import RATE, SEED, Workload, trained_model
from examples.payments.generate import Stream
from streams.cli.progress import steps
from streams.embedded import Stack

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
DOCUMENT = HERE.parent / "docs" / "performance.md"
TITLES = {contender.name: contender.title for contender in CONTENDERS}


@click.command()
@click.option("--only", type=click.Choice(["payments"]), default="payments", show_default=True, help="The workload.")
@click.option("--events", default=400_000, show_default=True, help="Events in the topic.")
@click.option("--rounds", default=3, show_default=True, help="How often every contender drains it, in turn.")
@click.option("--profile", "profile_seconds", default=0, help="Only profile the worker, for so many seconds; nothing is written.")
@click.option("--write/--no-write", default=True, help="Write docs/performance.md and results/latest.json (by default yes).")
def main(only: str, events: int, rounds: int, profile_seconds: int, write: bool) -> None:
    """Throughput and cost of one worker beside hand-written loops, on a Kafka and a Redis started for it."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder, Stack.start(environ={}) as stack:
        workload = Workload(stack, Path(folder))  # a stack of its own, never the environment's: its Redis is flushed
        prepare(workload, console)
        if profile_seconds:
            click.echo(profiled(workload, events, profile_seconds))
            return
        compared = agreed(workload, console)
        bytes_sent = workload.fill(Stream(events, RATE, SEED))
        results = measured(workload, events, rounds, console)
        with redis.Redis.from_url(stack.redis_url) as client:
            described = machine.describe(client.info("server").get("valkey_version", "?"))
    text = summary(results, events, rounds, bytes_sent, compared, described)
    click.echo(text)
    if write:
        report.write_rows(RESULTS, report.rows(results))
        report.write_between_markers(DOCUMENT, text)


def prepare(workload: Workload, console: Console) -> None:
    with console.status("training") if console.is_terminal else nullcontext():
        workload.create_topics()
        workload.deploy(trained_model())


def agreed(workload: Workload, console: Console) -> int:
    with console.status("comparing predictions") if console.is_terminal else nullcontext():
        return check_agreement(workload)


def measured(workload: Workload, events: int, rounds: int, console: Console) -> dict[str, list[Drain]]:
    """Contenders take turns, so that what the machine does meanwhile meets all of them."""
    results: dict[str, list[Drain]] = {contender.name: [] for contender in CONTENDERS}
    with steps(console) as show:
        for number in range(1, rounds + 1):
            for contender in CONTENDERS:
                shown = partial(show, f"{number}/{rounds} {contender.name}")
                results[contender.name].append(drain(workload, contender, events, shown))
    return results


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


def summary(results: dict[str, list[Drain]], events: int, rounds: int, bytes_sent: int, compared: int, described: str) -> str:
    """What is printed, and stands in docs/performance.md."""
    return "\n".join(
        [
            report.table(results, TITLES),
            "",
            f"{events:,} events of {bytes_sent / events:.0f} bytes, {rounds} rounds in turn: median (least to greatest). "
            f"{compared:,} predictions were equal to the last bit before anything was timed. "
            f"{datetime.now(UTC):%Y-%m-%d}; {described}; load over the last minute at the end {machine.load():.1f}.",
        ]
    )


if __name__ == "__main__":
    main()
