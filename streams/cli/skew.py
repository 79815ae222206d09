"""`tidegate skew`: served features against the same computed offline. What is compared, and how, is streams.monitor.skew's."""

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Column, Table

from streams.cli.errors import told_plainly
from streams.cli.progress import steps
from streams.loading import load_pipeline
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.monitor.records import SkewReport

ORDER = (
    "by order: right for the order in which the worker met events of several topics and partitions; in order of event time, as\n"
    "training takes them, it is another value. The faster a backlog is worked off, the more there are. See docs/quality.md."
)


@click.command(
    epilog="""\b
Examples:
  tidegate skew pipeline.py
  tidegate skew pipeline.py --last 15m --share 0.1
  tidegate skew pipeline.py --json"""
)
@click.argument("pipeline")
@click.option("--last", default="1h", show_default=True, help="Vectors of this much event time, up to the newest.")
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True), help="Of the entities; by default the pipeline's skew_share."
)
@click.option("--json", "as_json", is_flag=True, help="Print the record that the monitor publishes.")
@click.option("--nice", default=0, help="Lower this process's priority by so much.")
def skew(pipeline: str, last: str, share: float | None, as_json: bool, nice: int) -> None:
    """Compute a PIPELINE's served features again from Kafka's history, as training does, and count what differs.

    A share of each group's entities is taken, groups of up to 100 entities whole. It needs the history of the longest window
    before the stretch; features for which Kafka no longer holds that are named and left out. Changes nothing.
    """
    from featurestore.definitions import seconds
    from streams.audit import erasures
    from streams.cli.check import check_pipeline
    from streams.monitor.records import encode_drift
    from streams.monitor.skew import Question, measure
    from streams.personal import check_key_in_use, pseudonyms

    os.nice(nice)
    with told_plainly():
        settings, found = Settings.from_environment(os.environ), load_pipeline(pipeline)
        plan = check_pipeline(found)
        hashing = pseudonyms(settings, found, plan)
        asyncio.run(check_key_in_use(settings, plan, hashing))
        chosen = found.monitoring.skew_share if share is None else share
        question = Question(settings.kafka, found, plan, seconds(last), chosen, hashing, erasures(settings, plan))
        with steps(Console(stderr=True)) as progress:
            report = asyncio.run(measure(question, progress))
        if as_json:
            click.echo(encode_drift(report))
        else:
            show(report, Console())


def show(report: "SkewReport", console: Console) -> None:
    """The report as a table, the worst feature first, and what was not compared."""
    start, end = (
        datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in (report.window_start, report.window_end)
    )
    stretch = f"{report.events:,} vectors of {start} to {end} (UTC), {report.share:.1%} of the entities"
    console.print(f"{report.pipeline}: {stretch}", soft_wrap=True, highlight=False)
    table = Table(
        Column("feature", overflow="fold"),
        *(Column(name, justify="right") for name in ("compared", "mismatches", "ratio", "by order", "other bits")),
        box=None,
    )
    for one in sorted(report.features, key=lambda one: -(one.ratio or 0.0)):
        if one.ratio is not None:
            table.add_row(
                one.feature,
                f"{one.compared:,}",
                f"{one.mismatches:,}",
                f"{one.ratio:.2%}",
                f"{one.by_order:,}",
                f"{one.differing:,}",
            )
    console.print(table)
    for line in _left_out(report):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if any(one.by_order for one in report.features):
        console.print(ORDER, highlight=False)


def _left_out(report: "SkewReport") -> list[str]:
    whys = dict.fromkeys(one.why for one in report.features if one.why)
    features = {why: [one.feature for one in report.features if one.why == why] for why in whys}
    lines = [f"not compared: {', '.join(names)}: {why}" for why, names in features.items()]
    return lines + [f"left out: {n:,} vectors {why}" for why, n in report.left_out.items()]
