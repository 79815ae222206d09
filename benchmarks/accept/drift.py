"""`make accept ONLY=drift`: what the monitor's drift statistics promise, and that no crash changes them."""

from rich.console import Console

from benchmarks.accept import drift_kills, drift_statistics
from benchmarks.report import Row


def accept(console: Console) -> list[Row]:
    """All rows; progress on the console."""
    return [*drift_statistics.accept(console), *drift_kills.accept(console)]
