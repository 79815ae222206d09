"""A download bar for the jars, on stderr: stdout is for what a shell may read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from streams.embedded.jars import Progress


@contextmanager
def download_bar(console: Console | None = None) -> Iterator[Progress]:
    """A callback for `progress=`; the bar appears when something is downloaded, and not otherwise."""
    columns = (TextColumn("Apache Kafka"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bars = Bars(*columns, console=console or Console(stderr=True))
    task = bars.add_task("jars", total=None)

    def show(done_bytes: int, total_bytes: int) -> None:
        if done_bytes == 0 and not bars.console.is_terminal:  # a log gets a line in place of a bar
            bars.console.print(f"Fetching Apache Kafka, once: {total_bytes / 1e6:.0f} MB")
        if not bars.live.is_started:
            bars.start()
        bars.update(task, completed=done_bytes, total=total_bytes)

    try:
        yield show
    finally:
        if bars.live.is_started:
            bars.stop()
