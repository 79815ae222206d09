"""One feature in the terminal: every figure of its newest window, its bins against the reference's, and its last windows."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from math import log

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.drift.figures import NOTHING, number, probability, share, shift, shown, stretch
from streams.drift.history import LEGEND, PSI_FULL, of_feature, states
from streams.drift.sparkline import bars, shares, squeezed
from streams.drift.table import STYLES, reasons, styled
from streams.errors import StreamError
from streams.monitor.reading import Window
from streams.monitor.records import FeatureDrift

BAR = 24  # columns of the longest bar
SMOOTHING = 0.5  # added to every bin of both sides before PSI: docs/topics.md


def feature_of(window: Window, name: str) -> FeatureDrift:
    """The feature's record; StreamError with the nearest names where there is none."""
    for one in window.features:
        if one.feature == name:
            return one
    near = get_close_matches(name, [one.feature for one in window.features], n=3, cutoff=0.4)
    nearest = f"; did you mean {', '.join(map(shown, near))}?" if near else ""
    raise StreamError(f"window {window.summary.window} has no feature {name}{nearest}")


def print_feature(console: Console, windows: Sequence[Window], name: str) -> None:
    """The feature in the newest window, and how it came there."""
    one = feature_of(windows[-1], name)
    console.print(
        Text.assemble((shown(one.feature), "bold"), f"  {one.type}, {one.n:,} events against {one.m:,} of the reference")
    )
    model = f"model {shown(one.model)} version {one.model_version}"
    console.print(f"{stretch(one.window_start, one.window_end)}, window {one.window}, {model}")
    console.print(Text.assemble("state ", styled(one.state), f", severity {one.severity}"))
    for line in reasons([one]):
        console.print(line)
    console.print()
    console.print(_figures(one))
    console.print()
    console.print(bin_table(one))
    console.print()
    past, width = of_feature(windows, name), max(console.width - 10, 10)
    psi = squeezed([None if row is None else row.psi for row in past], width)
    top = max((value for value in psi if value is not None), default=0.0)
    console.print(
        Text.assemble(
            f"last {len(windows)} windows, oldest first; largest PSI {number(top)}\n", f"{'PSI':8}", bars(psi, max(top, PSI_FULL))
        )
    )
    console.print(Text.assemble(f"{'states':8}", states(past, width)))
    console.print(LEGEND, style="dim")


def _figures(one: FeatureDrift) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for meaning, value in statistics(one):
        made.add_row(meaning, Text(value, justify="right"))
    return made


def statistics(one: FeatureDrift) -> Iterator[tuple[str, str]]:
    """Every statistic of a record, what it is and its value."""
    yield "PSI", number(one.psi, 4)
    yield "PSI excess", number(one.psi_excess, 4)
    yield "p, before the other features are considered", probability(one.p)
    yield "q, over all features", probability(one.q)
    yield "smallest shift this window would show", shift(one.minimum_detectable_shift)
    yield "effective events", NOTHING if one.effective_n is None else f"{one.effective_n:,.0f}"
    yield "Jensen-Shannon distance", number(one.js_distance)
    yield "Wasserstein distance", shift(one.wasserstein)
    yield "missing", share(one.missing_ratio)
    yield "unseen categories", share(one.unseen_ratio)
    yield "below the reference's least", share(one.below_ratio)
    yield "above the reference's greatest", share(one.above_ratio)
    yield "PSI against the same hour of past weeks", number(one.seasonal_psi, 4)
    yield "p of that", probability(one.seasonal_p)
    yield "weeks of history", number(one.history_weeks, 1)


def bin_table(one: FeatureDrift) -> Table:
    """A line a bin: both sides' counts and shares as bars to one scale, and what the bin adds to PSI."""
    reference, window = shares(one.reference_counts), shares(one.counts)
    top = max((*reference, *window), default=0.0)
    made = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    made.add_column("bin", overflow="fold")
    for heading in ("reference", "", "window", "", "of PSI"):
        made.add_column(heading, justify="left" if heading == "" else "right", no_wrap=True)
    for place, added in enumerate(contributions(one)):
        p, q = reference[place], window[place]
        made.add_row(
            Text(shown(one.bins[place])),
            f"{one.reference_counts[place]:,} {share(p):>6}",
            Text(_bar(p, top), "dim"),
            f"{one.counts[place]:,} {share(q):>6}",
            Text(_bar(q, top), STYLES[one.state]),
            number(added),
        )
    return made


def _bar(value: float, top: float) -> str:
    return "█" * round(value / top * BAR) if top > 0 else ""


def contributions(one: FeatureDrift) -> list[float]:
    """Each bin's term (q - p) ln(q / p) of PSI, p the reference's and q the window's smoothed share."""
    bins = len(one.bins)
    n, m = sum(one.counts) + SMOOTHING * bins, sum(one.reference_counts) + SMOOTHING * bins
    both = zip(one.counts, one.reference_counts, strict=True)
    smoothed = [((count + SMOOTHING) / n, (base + SMOOTHING) / m) for count, base in both]
    return [(q - p) * log(q / p) for q, p in smoothed]
