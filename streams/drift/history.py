"""Many windows in the terminal: of each feature its PSI and state, window by window."""

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.drift.figures import moment, number, shown
from streams.drift.sparkline import bars, squeezed
from streams.drift.table import STYLES, WIDE, folded
from streams.drift.verdict import ORDER, ranked
from streams.monitor.reading import Window
from streams.monitor.records import FeatureDrift, State

MARKS: dict[State, str] = {"ok": ".", "warn": "w", "drift": "D", "unknown": "?"}
LEGEND = "states: . ok, w warn, D drift, ? unknown; a full bar: the line's largest PSI, 0.1 at least"
PSI_FULL = 0.1  # a full bar is no less: what chance makes must not look like much (0.1 is often called a moderate shift)
NAME_WIDTHS = (24, 36)  # in a narrow terminal, and in a wide one; longer names are folded
OTHERS = 20  # columns for what is beside a name and its two strips: largest and newest PSI, and spaces


def print_history(console: Console, windows: Sequence[Window]) -> None:
    """A line a feature, worst in the newest window first; of more windows than columns, each column is the worst of some."""
    first, newest = windows[0].summary, windows[-1].summary
    console.print(Text.assemble((shown(newest.pipeline), "bold"), f"  {len(windows)} windows, oldest to newest:"))
    console.print(f"{moment(first.window_start)} to {moment(newest.window_end)} UTC, windows {first.window} to {newest.window}\n")
    name_width = NAME_WIDTHS[console.width >= WIDE]
    strip = max((console.width - name_width - OTHERS) // 2, 10)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("feature", "PSI", "states", "largest", "newest"):
        table.add_column(heading, justify="right" if heading in ("largest", "newest") else "left", no_wrap=heading != "feature")
    for one in ranked(windows[-1].features):
        past = of_feature(windows, one.feature)
        psi = [None if row is None else row.psi for row in past]
        largest = max((value for value in psi if value is not None), default=None)
        line = Text(bars(squeezed(psi, strip), max(largest or 0.0, PSI_FULL)))
        table.add_row(folded(shown(one.feature), name_width), line, states(past, strip), number(largest), number(one.psi))
    console.print(table)
    console.print(LEGEND, style="dim")


def of_feature(windows: Sequence[Window], feature: str) -> list[FeatureDrift | None]:
    """One feature's record of each window; None where a window has none, as before the feature was declared."""
    return [next((one for one in window.features if one.feature == feature), None) for window in windows]


def columns(windows: Sequence[Window], most: int) -> list[Sequence[Window]]:
    """The windows in at most so many parts, in order, of as equal lengths as can be."""
    parts = min(len(windows), most)
    edges = [round(place * len(windows) / parts) for place in range(parts + 1)] if parts else [0]
    return [windows[start:end] for start, end in pairwise(edges)]


def worst(windows: Sequence[Window], feature: str) -> FeatureDrift | None:
    """A feature's record of the windows that concerns most: by state, then PSI; None where none has it."""
    there = [one for one in of_feature(windows, feature) if one is not None]
    return min(there, key=lambda one: (ORDER.index(one.state), -(one.psi or 0.0)), default=None)


def states(past: Sequence[FeatureDrift | None], most: int) -> Text:
    """A mark a window, in at most so many columns, each the worst of its windows."""
    worse = [None if one is None else float(-ORDER.index(one.state)) for one in past]
    made = Text()
    for value in squeezed(worse, most):
        state = None if value is None else ORDER[int(-value)]
        made.append(" " if state is None else MARKS[state], "" if state is None else STYLES[state])
    return made
