"""`tidegate up`: a Kafka and a Redis of one's own until Ctrl-C.

Starting and stopping is streams.embedded's; this file turns signals into an orderly end and prints what to do next.
Addresses go to stdout, everything else to stderr, so that `tidegate up > addresses.sh` is of use to a script.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType

import click

from streams.embedded import EmbeddedError, Stack
from streams.embedded.progress import download_bar
from streams.embedded.stack import KAFKA_VARIABLE, REDIS_VARIABLE

CHECK_SECONDS = 0.5

NEXT = """
Paste these lines into another terminal, then for example:
  tidegate doctor
  tidegate train PIPELINE --data FOLDER --promote
  tidegate worker PIPELINE
Ctrl-C here stops {what}."""


@click.command(
    epilog="""\b
Examples:
  tidegate up                     both, on free ports, until Ctrl-C
  tidegate up --no-redis          Kafka alone
  tidegate up --data ~/tidegate   topics and features survive Ctrl-C

A part whose address is in KAFKA_BOOTSTRAP_SERVERS or REDIS_URL is not started; it must answer."""
)
@click.option("--kafka/--no-kafka", default=True, help="Start Apache Kafka (by default yes).")
@click.option("--redis/--no-redis", default=True, help="Start Valkey (by default yes).")
@click.option("--heap-mb", default=512, show_default=True, type=click.IntRange(min=128), help="Kafka's Java heap.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep topics and features in this folder; by default they go at the end.",
)
def up(kafka: bool, redis: bool, heap_mb: int, data: Path | None) -> None:
    """Start a real Apache Kafka and Valkey on this machine, for trying things out.

    The first start downloads Kafka (44 MB) into the user's cache. Both listen on loopback only. Nothing stays behind
    when this command ends, however it ends.
    """
    _end_on_signals()
    started = time.monotonic()
    try:
        with (
            download_bar() as progress,
            Stack.start(kafka=kafka, redis=redis, heap_mb=heap_mb, data_dir=data, progress=progress) as stack,
        ):
            _announce(stack, time.monotonic() - started)
            _wait(stack)
    except EmbeddedError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("stopped", err=True)


def _announce(stack: Stack, seconds: float) -> None:
    values = {KAFKA_VARIABLE: stack.bootstrap_servers, REDIS_VARIABLE: stack.redis_url}
    for variable, value in values.items():
        if value:
            click.echo(f"export {variable}={value}")
    ours = " and ".join(server.name for server in stack.servers)
    click.echo(f"\n{ours or 'What the environment names'} answered after {seconds:.1f} s.", err=True)
    if ours:
        click.echo(NEXT.format(what=ours), err=True)


def _wait(stack: Stack) -> None:
    """Until a signal ends us, or a server of ours ends by itself. With none of ours there is nothing to wait for."""
    while servers := stack.servers:
        for server in servers:
            if server.wait(CHECK_SECONDS) is not None:
                raise server.failure()


def _end_on_signals() -> None:
    """SIGTERM and a closed terminal end this command as Ctrl-C does, through every `with` on the way out."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a script
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A second signal must not cut the clean-up short; the guardians would finish it, but later.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
