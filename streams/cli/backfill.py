"""`tidegate backfill`: options to a filled namespace; the work is streams.backfill's."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from streams.cli.errors import told_plainly
from streams.cli.options import user
from streams.cli.progress import steps
from streams.cli.train import TIME
from streams.loading import load_pipeline
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.backfill import Report


@click.command(
    epilog="""\b
Examples:
  tidegate backfill pipeline.py                                     all that is not complete, from Kafka
  tidegate backfill pipeline.py --group payment_by_user
  tidegate backfill pipeline.py --from history/ --until 2026-05-01   older events from history/payments.parquet
Change the features, run this while the old workers serve, then restart the workers one after the other."""
)
@click.argument("pipeline")
@click.option("--from", "source", default="kafka", show_default=True, help="kafka, or a folder with one Parquet file a topic.")
@click.option("--group", "groups", multiple=True, help="A feature group to fill; by default all that this pipeline writes.")
@click.option(
    "--until",
    type=TIME,
    help="Use the files' events before this time (UTC), and Kafka's from then on; by default up to each file's newest.",
)
@click.option("--allow-gap", is_flag=True, help="Go on though events between the files' and Kafka's would be missing.")
def backfill(pipeline: str, source: str, groups: tuple[str, ...], until: datetime | None, allow_gap: bool) -> None:
    """Fill the state of a PIPELINE's new or changed feature groups, while workers serve the old ones.

    A changed group begins with an empty state of its own. This fills it from what Kafka still holds, up to where the running
    workers stand and never past it; workers of the new version fill the rest when they start. With --from FOLDER, events from
    before --until come from Parquet files and never from Kafka. Interrupted, it goes on where it stopped. Groups that lack
    nothing are left alone. How the run ended is recorded for the monitor.
    """
    if source == "kafka" and (until or allow_gap):
        raise click.UsageError("--until and --allow-gap go with --from FOLDER")
    folder = None if source == "kafka" else Path(source)
    if folder is not None and not folder.is_dir():
        raise click.UsageError(f"--from {source}: there is no such folder; give kafka, or a folder of Parquet files")
    cut = None if until is None else until.replace(tzinfo=UTC).timestamp()
    from streams.backfill import Request
    from streams.backfill import backfill as fill
    from streams.jobs import recorded

    with told_plainly():
        settings = Settings.from_environment(os.environ)
        assert settings.kafka  # missing addresses are told before anything is loaded
        assert settings.redis
        found = load_pipeline(pipeline)
        with recorded(settings.kafka, "backfill", found.name, user()), steps(Console(stderr=True)) as progress:
            report = asyncio.run(fill(found, settings, Request(groups, folder, cut, allow_gap), progress))
    for line in told(report):
        click.echo(line)


def told(report: "Report") -> list[str]:
    """What became of a backfill, for people."""
    from streams.backfill import utc

    since = {name: f", complete for events since {utc(begin)}; older are gone" for name, begin in report.complete_from.items()}
    return [
        *(f"{name}: lacks nothing, left alone" for name in report.complete),
        *(f"{name}: filled{since.get(name, '')}" for name in report.filled),
        *(f"{topic}: {events:,} events merged" for topic, events in report.events.items()),
        *(f"{topic}: nothing is committed yet; workers begin with its oldest record themselves" for topic in report.uncommitted),
    ]
