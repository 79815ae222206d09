"""`make accept ONLY=drift`: what the monitor's drift statistics promise."""

from rich.console import Console

from benchmarks.accept import drift_statistics
from benchmarks.report import Row


def accept(console: Console) -> list[Row]:
    """All rows; progress on the console."""
    return drift_statistics.accept(console)
