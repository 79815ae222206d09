"""`tidegate monitor`: options to a running monitor; the wiring is streams.monitor.app's."""

import os
import sys

import click

from featurestore.definitions import seconds
from streams.cli.errors import told_plainly
from streams.cli.options import log_level, pages
from streams.loading import load_pipeline
from streams.settings import Settings


@click.command(
    epilog="""\b
Examples:
  tidegate monitor examples/flights/pipeline.py
  tidegate drift examples/flights/pipeline.py          what it said last, as a table
One monitor of a pipeline is at work; further ones stand by and take over when it is gone."""
)
@click.argument("pipeline")
@pages(6067)
@click.option(
    "--partitions",
    default=4,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of the served vectors' topic, where it is created because it is missing.",
)
@click.option(
    "--session-timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(1, 80),
    help="Seconds without a sign of life until one that stands by takes over. Kafka refuses less than its "
    "group.min.session.timeout.ms, 6 s unless changed.",
)
@click.option(
    "--skew-every",
    default="1h",
    show_default=True,
    help="How often a share of the served vectors is computed again offline, in a process of its own; 0 never.",
)
@log_level
def monitor(
    pipeline: str, web_host: str, web_port: int, partitions: int, session_timeout: float, skew_every: str, log_level: str
) -> None:
    """Say each window what drifts in what a PIPELINE's workers served, until SIGTERM or Ctrl-C.

    PIPELINE is a Python file, or package.module:name. Reads <pipeline>.features and writes <pipeline>.drift: one record a feature
    and window, one about the window's data quality, decisions and feeds. Judges against the reference that
    `tidegate train` stored with the model. Nothing is lost or counted twice when it is killed: start it again.
    """
    from streams.running import run, set_levels

    set_levels(log_level)
    with told_plainly():
        from streams.monitor.app import MonitorOptions, build_monitor

        options = MonitorOptions(
            partitions=partitions,
            web_host=web_host,
            web_port=web_port,
            session_timeout_seconds=session_timeout,
            skew_seconds=0 if skew_every == "0" else seconds(skew_every),
            pipeline=pipeline,
        )
        app = build_monitor(load_pipeline(pipeline), Settings.from_environment(os.environ), options)
    sys.exit(run(app, log_level))
