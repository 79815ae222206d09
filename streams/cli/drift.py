"""`tidegate drift`: what the monitor said of a pipeline's windows, as a table or as a page. The work is done in streams.drift."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from featurestore.definitions import seconds
from featurestore.errors import DefinitionError
from streams.cli.errors import told_plainly
from streams.cli.first_command import FirstCommand
from streams.errors import StreamError
from streams.loading import load_pipeline
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.monitor.reading import DriftLog
    from streams.monitor.records import DriftRecord

TICKET = 3  # exit code of --check: 1 is an error's, 2 wrong usage's
CONTEXT_WINDOWS = 24  # before the one of which a feature is shown in detail
WINDOWS_MAX = 500  # on a page, and of --last: 17,000 records of 30 features, some 25 MB, read in a second
REPORT_LIBRARIES = ("jinja2", "markupsafe", "matplotlib")  # of the extra `reports`
PIPE_WIDTH = 200  # a pipe has no width to fold to


class Last(click.ParamType):
    """A number of windows, or a length of time up to the end of the newest window."""

    name = "windows|time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int | str:
        text = str(value)
        if text.isascii() and text.isdigit() and int(text) > 0:
            return min(int(text), WINDOWS_MAX)
        try:
            seconds(text)
        except DefinitionError:
            self.fail(
                f"{text!r} is neither a number of windows, such as 50, nor a length of time, such as 12h or 7d", param, context
            )
        return text


@click.group(
    cls=FirstCommand,
    epilog="""\b
Examples:
  tidegate drift pipeline.py
  tidegate drift pipeline.py --feature amount
  tidegate drift pipeline.py --last 24
  tidegate drift report pipeline.py drift.html --last 7d
How to read it: docs/reading-drift.md""",
)
def drift() -> None:
    """Show what the monitor said: `tidegate drift PIPELINE` a table, `tidegate drift report` a page with plots.

    Reads <pipeline>.drift, which tidegate monitor writes, from its end. `tidegate drift table --help` tells the table's options.
    """


@drift.command(
    epilog="""\b
Examples:
  tidegate drift pipeline.py
  tidegate drift pipeline.py --last 7d
  tidegate drift pipeline.py --feature payment_by_user.count.1h --window 000042
  tidegate drift pipeline.py --json | jq -r 'select(.kind == "feature" and .state == "drift").feature'
  tidegate drift pipeline.py --check || echo 'somebody should look'"""
)
@click.argument("pipeline")
@click.option("--window", help="The window of this id instead of the latest.")
@click.option("--last", type=Last(), help="History: so many windows, or those of so long (24, 12h, 7d).")
@click.option("--feature", help="One feature in detail: every figure, bins with counts.")
@click.option("--all", "everything", is_flag=True, help="Every feature, also where more than 40 are ok.")
@click.option("--json", "as_json", is_flag=True, help="The windows' records as they are, one a line.")
@click.option("--check", is_flag=True, help=f"Exit code {TICKET} where the window's severity is ticket.")
def table(
    pipeline: str, window: str | None, last: int | str | None, feature: str | None, everything: bool, as_json: bool, check: bool
) -> None:
    """Show a PIPELINE's latest window: a line a feature, the worst first; then failed checks, stale feeds and skew.

    Columns: the reference's distribution and the window's over the same bins, PSI and its excess over what chance makes, q, the
    smallest shift that the window would have shown (sees), the share that is missing, state and severity.
    """
    if window is not None and last is not None:
        raise click.UsageError("--window is one window, --last are many; give one of them")
    with told_plainly():
        found = _read(pipeline, last or (CONTEXT_WINDOWS if feature else 1), window)
        if as_json:
            _print_json(found, feature, last is not None)
        else:
            _print(found, feature, last is not None, everything)
    if check and found.latest.summary.severity == "ticket":
        sys.exit(TICKET)


def _read(pipeline: str, last: int | str, window: str | None = None) -> "DriftLog":
    """So many windows of a pipeline, or those of so long."""
    from streams.monitor.reading import Wanted, read_windows

    many = (
        Wanted(count=last, window=window)
        if isinstance(last, int)
        else Wanted(count=WINDOWS_MAX, seconds=seconds(last), window=window)
    )
    return read_windows(Settings.from_environment(os.environ).kafka, load_pipeline(pipeline).name, many)


def _print(found: "DriftLog", feature: str | None, history: bool, everything: bool) -> None:
    from streams.drift.detail import print_feature
    from streams.drift.history import print_history
    from streams.drift.table import print_window

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH, highlight=False)
    if feature is not None:
        print_feature(console, found.windows, feature)
    elif history:
        print_history(console, found.windows)
    else:
        print_window(console, found.latest, found.skew, everything)


def _print_json(found: "DriftLog", feature: str | None, history: bool) -> None:
    from streams.drift.detail import feature_of
    from streams.monitor.records import encode_drift

    for window in found.windows if history else found.windows[-1:]:
        records: Sequence[DriftRecord] = [*window.features, window.summary]
        for record in records if feature is None else [feature_of(window, feature)]:
            click.echo(encode_drift(record))
    if found.skew is not None and feature is None:
        click.echo(encode_drift(found.skew))


@drift.command(
    epilog="""\b
Examples:
  tidegate drift report pipeline.py drift.html
  tidegate drift report pipeline.py drift.html --last 24"""
)
@click.argument("pipeline")
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option("--last", type=Last(), default="7d", show_default=True, help="So many windows, or those of so long (24, 12h, 7d).")
def report(pipeline: str, file: Path, last: int | str) -> None:
    """Write what the monitor said of a PIPELINE to FILE, one HTML page with plots that needs nothing else.

    At most the newest 500 windows. For the plots matplotlib must be there: pip install 'tidegate[reports]'
    """
    with told_plainly():
        page = _page()
        found = _read(pipeline, last)
        text = page(found, datetime.now(UTC).timestamp())
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{file}: {len(found.windows):,} windows of {found.latest.summary.pipeline}, {len(text) / 1e6:.1f} MB")


def _page() -> "Callable[[DriftLog, float], str]":
    """What makes the page; StreamError where the libraries that only pages need are not installed."""
    try:
        from streams.drift.page import page
    except ModuleNotFoundError as error:
        if error.name not in REPORT_LIBRARIES:
            raise
        raise StreamError(f"a page needs {error.name}, which is not installed; run: pip install 'tidegate[reports]'") from error
    return page
