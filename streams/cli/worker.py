"""`tidegate worker`: options to a running worker; the wiring is streams.worker's."""

import os
import sys

import click

from streams.chunk import PACE_MS
from streams.cli.errors import told_plainly
from streams.cli.options import log_level, pages
from streams.loading import load_pipeline
from streams.settings import Settings
from streams.tuning import collect_seldom

MOST_CHUNK_EVENTS = 3_000  # states that one script call may touch: it blocks Redis meanwhile


@click.command(
    epilog="""\b
Examples:
  tidegate worker examples/flights/pipeline.py
  tidegate worker my.module:fraud --web-port 6067      a second one on this machine
Workers of one pipeline share its partitions; start as many as there are partitions at most."""
)
@click.argument("pipeline")
@pages(6066)
@click.option(
    "--partitions",
    default=4,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of topics that are created because they are missing.",
)
@click.option(
    "--in-flight",
    default=2,
    show_default=True,
    type=click.IntRange(min=1),
    help="Chunks of different partitions handled at once.",
)
@click.option(
    "--max-chunk-events",
    default=2000,
    show_default=True,
    type=click.IntRange(1, MOST_CHUNK_EVENTS),
    help="Events handled together at most. All of them may touch one shard, and a script on more states blocks Redis for long.",
)
@click.option(
    "--pace-ms",
    default=PACE_MS,
    show_default=True,
    type=click.IntRange(0, 1_000),
    help="Milliseconds between two chunks at least, unless a full one waits. Less shortens latency, more saves CPU. "
    'Without effect with on_store_unavailable="degrade".',
)
@click.option(
    "--session-timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(1, 80),
    help="Seconds without a sign of life until others take over. Kafka refuses less than its group.min.session.timeout.ms, "
    "6 s unless changed.",
)
@log_level
def worker(
    pipeline: str,
    web_host: str,
    web_port: int,
    partitions: int,
    in_flight: int,
    max_chunk_events: int,
    pace_ms: int,
    session_timeout: float,
    log_level: str,
) -> None:
    """Consume a PIPELINE's topics, keep its features, score and publish, until SIGTERM or Ctrl-C.

    PIPELINE is a Python file, or package.module:name. Topics are created where they are missing. Exit code 1 says that the worker
    stopped on something it cannot handle; nothing is lost: what was not committed is read again.
    """
    collect_seldom()
    from streams.running import run, set_levels
    from streams.worker import WorkerOptions, build_worker

    set_levels(log_level)
    options = WorkerOptions(
        partitions=partitions,
        web_host=web_host,
        web_port=web_port,
        in_flight=in_flight,
        max_chunk_events=max_chunk_events,
        pace_ms=pace_ms,
        session_timeout_seconds=session_timeout,
    )
    with told_plainly():
        app = build_worker(load_pipeline(pipeline), Settings.from_environment(os.environ), options)
    sys.exit(run(app, log_level))
