"""What a part of the benchmark is: a function that measures one thing, on a stack of its own, and gives rows and text.

The parts that there are: benchmarks/parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

from benchmarks.report import Row


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: events in the topic, rounds, and where progress is shown."""

    events: int
    rounds: int
    console: Console


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows for latest.json, each named "part/...", and the Markdown that stands in docs/performance.md."""

    rows: Sequence[Row]
    text: str


Part = Callable[[Options], Measured]
