"""The page's plots, as SVG text that stands in HTML by itself: no script, no font, no file.

Colours are after Okabe and Ito's, which colour-blind people can tell apart; states differ in shape or height too.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from streams.drift.figures import moment, shown
from streams.drift.history import columns, worst
from streams.drift.null import chance
from streams.drift.sparkline import shares
from streams.drift.svg import svg
from streams.monitor.reading import Window
from streams.monitor.records import FeatureDrift, State

REFERENCE, WINDOW, INK, FAINT = "#b8bec4", "#0072b2", "#333333", "#e6e9ec"
COLOURS: dict[State, str] = {"ok": "#7fb8a4", "warn": "#e69f00", "drift": "#c1440e", "unknown": "#b8bec4"}
MARKERS: dict[State, str] = {"ok": "o", "warn": "^", "drift": "s", "unknown": "x"}
HEIGHTS: dict[State, float] = {"ok": 0.3, "warn": 0.6, "drift": 0.95, "unknown": 0.1}  # of a line in the strip: no colour needed
MEANINGS: dict[State, str] = {"ok": "ok", "warn": "warn: once", "drift": "drift: confirmed", "unknown": "unknown: too few events"}
LABEL_CHARACTERS = 34
COLUMNS_MAX = 100  # of windows over time: more could not be told apart, and fifty features would weigh 2 MB and more
WIDTH_INCHES = 10.5
LETTER_INCHES = 0.077  # DejaVu Sans at 9 points, on average
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: smaller, selectable, read aloud
    "svg.hashsalt": "tidegate",  # the same page from the same records
    "text.parse_math": False,  # a $ in a category is a $
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # which matplotlib brings, to measure by; a page without it takes the reader's
    "font.size": 9,
    "axes.edgecolor": "#8a939b",
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
}


def feature_plot(one: FeatureDrift, windows: Sequence[Window]) -> Markup:
    """The newest window's distribution against the reference's, and PSI over the windows with what chance makes of it."""
    with mpl.rc_context(STYLE):
        figure = _figure(max(2.6, 0.23 * len(one.bins) + 0.75), one.bins)
        bins, line = figure.subplots(1, 2, width_ratios=(5, 6))
        _bins(bins, one)
        parts = columns(windows, COLUMNS_MAX)
        _psi(line, [worst(part, one.feature) for part in parts])
        _window_axis(line, parts, labels=4)
        return svg(figure, f"{one.feature}: its distribution against the reference's, and PSI over {len(windows)} windows")


def _figure(height_inches: float, labels: Sequence[str]) -> Figure:
    """With room for the labels on its left. Constrained layout would measure every text: three times as long for a page."""
    room = LETTER_INCHES * max((len(_short(name)) for name in labels), default=0) + 0.35
    made = Figure(figsize=(WIDTH_INCHES, height_inches))
    made.subplots_adjust(
        left=room / WIDTH_INCHES, right=0.985, bottom=0.5 / height_inches, top=1 - 0.3 / height_inches, wspace=0.16
    )
    return made


def _bins(axes: Axes, one: FeatureDrift) -> None:
    places = np.arange(len(one.bins))
    base, now = shares(one.reference_counts), shares(one.counts)
    axes.barh(
        places - 0.2,
        [100 * value for value in base],
        0.38,
        color=REFERENCE,
        edgecolor="#7b848c",
        linewidth=0.6,
        label="reference",
    )
    axes.barh(places + 0.2, [100 * value for value in now], 0.38, color=WINDOW, label="this window")
    axes.set_yticks(places, [_short(name) for name in one.bins])
    axes.invert_yaxis()
    axes.set_xlabel("share of events, %")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
    _bare(axes, grid="x")


def _psi(axes: Axes, past: Sequence[FeatureDrift | None]) -> None:
    expected = [None if one is None else chance(one) for one in past]
    places = np.arange(len(past))
    high = np.array([np.nan if one is None else one.high for one in expected])
    alarm = np.array([np.nan if one is None else one.alarm for one in expected])
    axes.fill_between(places, 0, high, color=FAINT, linewidth=0, label="chance alone, 99 % of windows")
    axes.plot(places, alarm, color=INK, linewidth=0.9, linestyle="--", label="alarm above")
    psi = np.array([np.nan if one is None or one.psi is None else one.psi for one in past])
    axes.plot(places, psi, color="#5d666e", linewidth=0.8)
    for state, marker in MARKERS.items():
        chosen = [place for place, one in enumerate(past) if one is not None and one.state == state]
        if chosen:
            edge: dict[str, Any] = {} if marker == "x" else {"markeredgecolor": INK, "markeredgewidth": 0.4}
            axes.plot(chosen, psi[chosen], marker, color=COLOURS[state], markersize=5, label=state, **edge)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("PSI")
    axes.legend(
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1.01, 1.0),
        ncols=6,
        fontsize=8,
        borderaxespad=0.2,
        columnspacing=0.9,
        handletextpad=0.4,
        handlelength=1.6,
    )
    _bare(axes, grid="y")


def strip_plot(windows: Sequence[Window], features: Sequence[str]) -> Markup:
    """Every feature's state in every window; the height of a mark says what its colour does."""
    with mpl.rc_context(STYLE):
        figure = _figure(0.19 * len(features) + 0.9, features)
        axes = figure.subplots()
        parts = columns(windows, COLUMNS_MAX)
        for row, name in enumerate(features):
            past = [worst(part, name) for part in parts]
            for state, height in HEIGHTS.items():
                axes.broken_barh(
                    _runs([one is not None and one.state == state for one in past]),
                    (row - height / 2, height),
                    color=COLOURS[state],
                    linewidth=0,
                )
        for state, colour in COLOURS.items():
            axes.plot([], [], "s", color=colour, label=MEANINGS[state])
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, borderaxespad=0.2)
        axes.set_yticks(range(len(features)), [_short(name) for name in features])
        axes.set_ylim(len(features) - 0.5, -0.6)
        axes.tick_params(axis="y", length=0)
        _window_axis(axes, parts)
        _bare(axes, grid=None)
        return svg(figure, f"The state of each of {len(features)} features in {len(windows)} windows")


def _runs(there: Sequence[bool]) -> list[tuple[float, float]]:
    """(start, length) of each stretch of consecutive windows.

    >>> _runs([True, True, False, True])
    [(-0.5, 2.0), (2.5, 1.0)]
    """
    edges = np.flatnonzero(np.diff([False, *there, False]))
    return [(float(start) - 0.5, float(end - start)) for start, end in edges.reshape(-1, 2)]


def decision_plot(windows: Sequence[Window]) -> Markup:
    """The share of positive decisions in each window, the same a week before where known, and the declared band."""
    told = [window.summary for window in windows]
    with mpl.rc_context(STYLE):
        figure = _figure(2.2, [])
        axes = figure.subplots()
        places = np.arange(len(told))
        low, top = (
            _percent([one.decision_band and one.decision_band[0] for one in told]),
            _percent([one.decision_band and one.decision_band[1] for one in told]),
        )
        axes.fill_between(places, low, top, step="mid", color=FAINT, linewidth=0, label="declared band")
        axes.plot(
            places,
            _percent([one.decision_rate_last_week for one in told]),
            color="#7b848c",
            linewidth=0.9,
            linestyle="--",
            label="a week before",
        )
        rate = _percent([one.decision_rate for one in told])
        axes.plot(places, rate, color=WINDOW, linewidth=1, marker="o", markersize=3, label="positive decisions")
        outside = [place for place, one in enumerate(told) if one.decision_in_band is False]
        axes.plot(outside, rate[outside], "s", color=COLOURS["drift"], markersize=5, label="outside the band")
        axes.set_ylabel("positive, %")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, borderaxespad=0.2)
        _window_axis(axes, columns(windows, len(windows)))
        _bare(axes, grid="y")
        return svg(figure, f"The share of positive decisions in {len(told)} windows")


def _percent(values: Sequence[float | None]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([np.nan if value is None else 100 * value for value in values])


def _window_axis(axes: Axes, parts: Sequence[Sequence[Window]], labels: int = 8) -> None:
    """One step a window, labelled by when it began: windows of a number of events are not evenly spaced in time."""
    axes.set_xlim(-0.6, len(parts) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=labels, integer=True))
    places = [place for place in (int(tick) for tick in axes.get_xticks()) if 0 <= place < len(parts)]
    axes.set_xticks(places, [moment(parts[place][0].summary.window_start)[5:] for place in places])
    most = max(map(len, parts), default=1)
    axes.set_xlabel("start of the window, UTC" + (f"; each mark the worst of up to {most}" if most > 1 else ""))


def _bare(axes: Axes, grid: str | None) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if grid is not None:
        axes.grid(axis=grid, color=FAINT, linewidth=0.8)  # type: ignore[arg-type]


def _short(name: str) -> str:
    clean = shown(name)
    return clean if len(clean) <= LABEL_CHARACTERS else f"{clean[: LABEL_CHARACTERS // 2]}…{clean[-LABEL_CHARACTERS // 2 + 1 :]}"
