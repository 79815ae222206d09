"""What the acceptance measures: each part gives rows {name, value, unit, bar, holds} for benchmarks/results/<part>.json."""

import importlib
from collections.abc import Callable, Sequence

from rich.console import Console

from benchmarks.report import Row

Acceptance = Callable[[Console], Sequence[Row]]
PARTS = ("drift", "lag", "alerts", "alerts_hour")


def part(name: str) -> Acceptance:
    """`accept` of benchmarks.accept.<name>."""
    found: Acceptance = importlib.import_module(f"benchmarks.accept.{name}").accept
    return found
