"""`tidegate demo`: options to a running demo; its parts are in streams.demo."""

import logging
import os
import time
from pathlib import Path

import click
from rich.console import Console

from streams.cli.errors import told_plainly
from streams.demo.stories import DEFAULT, STORIES
from streams.embedded.ports import LOOPBACK
from streams.errors import StreamError
from streams.settings import Settings


@click.command(
    epilog="""\b
Examples:
  tidegate demo                                  until Ctrl-C
  tidegate demo --example payments
  tidegate demo --seconds 60 --json demo.json    ends by itself
  tidegate demo --drift distance=1.5@20          plus 1.5 standard deviations, from 20 s on
While it runs, end a worker with kill -9 and watch the other take over.

\b
Drift is put into the records as they are sent, and the monitor's word of it is in the view. TARGET=CHANGE@SECONDS:
  distance=-0.5@20                  a field plus so many of its standard deviations
  scheduled_minutes=*60@20          another unit; what leaves the contract's bounds becomes a dead letter
  carrier=UA>UAL@20                 a category renamed
  tailnum=null@20                   identifiers lost
  Weather.temperature=frozen@20     a sensor that says one value for ever
  Weather=stopped@20                a feed that ends
  fraud=0.1@20                      with --example payments: a tenth of the payments become takeovers
A field that several events have is the scored event's; Arrival.carrier names another's.

\b
The parts of it that a stack of your own wants, as compose.yaml has them:
  tidegate demo --write-history history/         then: tidegate train ... --data history/
  tidegate demo --produce --speed 10             to KAFKA_BOOTSTRAP_SERVERS, for ever"""
)
@click.option("--example", type=click.Choice(list(STORIES)), default=DEFAULT, show_default=True, help="Which story to run.")
@click.option("--seconds", type=click.FloatRange(min=1), help="End so long after the replay's first event.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary here.")
@click.option("--speed", default=400.0, show_default=True, type=click.FloatRange(min=1), help="Events a second, all topics.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 4), help="Worker processes.")
@click.option("--drift", "drifts", multiple=True, metavar="TARGET=CHANGE@SECONDS", help="Put drift in; as often as you like.")
@click.option(
    "--write-history",
    "history",
    type=click.Path(file_okay=False, path_type=Path),
    help="Only write what the model is trained on into this folder.",
)
@click.option("--produce", "only_produce", is_flag=True, help="Only send the events, to KAFKA_BOOTSTRAP_SERVERS, until a signal.")
@click.option("--web-port", default=6069, show_default=True, type=click.IntRange(0, 65_535), help="/readyz of --produce.")
def demo(
    example: str,
    seconds: float | None,
    json_file: Path | None,
    speed: float,
    workers: int,
    drifts: tuple[str, ...],
    history: Path | None,
    only_produce: bool,
    web_port: int,
) -> None:
    """Score events as they fall due: a real Kafka, two workers, a monitor, a live view.

    flights: will this flight of 2013 arrive late? Trains on January to April and replays what follows, some hours a second.
    payments: is this card payment fraud? Generated, with outcomes that come minutes later.

    Everything runs on this machine and ends with this command. The first time fetches Kafka and trains; what that made stays in
    the user's cache.
    """
    began = time.time()
    logging.getLogger("streams").setLevel(logging.ERROR)  # a client that tries again, with success, is no news here
    with told_plainly():
        if history is not None:
            _write_history(example, history)
        elif only_produce:
            _produce(example, speed, web_port)
        else:
            _check_libgomp()
            from streams.demo.session import DemoOptions, run_demo

            run_demo(DemoOptions(example, drifts, seconds, json_file, speed, workers), Console(), os.environ, began)


def _write_history(example: str, folder: Path) -> None:
    from streams.demo.stories import find_story

    find_story(example).write_history(folder)
    for file in sorted(folder.glob("*.parquet")):
        click.echo(file)


def _produce(example: str, speed: float, web_port: int) -> None:
    from streams.demo.producing import produce
    from streams.demo.stories import find_story

    bootstrap_servers = Settings.from_environment(os.environ).kafka
    produce(find_story(example), bootstrap_servers, speed, (LOOPBACK, web_port), lambda text: click.echo(text, err=True))


def _check_libgomp() -> None:
    """Before anything imports LightGBM, whose own message names a file and no remedy."""
    from streams.embedded.checks import libgomp

    found = libgomp()
    if found.status == "fail":
        raise StreamError(f"{found.name}: {found.found}. Run: {found.remedy}")
