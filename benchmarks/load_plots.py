"""What docs/performance.md shows of latency: against the load, and over time through a burst."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.beside import Floats
from benchmarks.plots import FAINT, LINE, SECOND, plt, save


class Point(NamedTuple):
    """Latency in milliseconds at a load of so many events a second."""

    load: int
    p50: float
    p99: float


def latency(path: Path, curves: Mapping[str, Sequence[Point]]) -> None:
    """p50 and p99 against the load, by title; a curve ends with the last load that was kept up with."""
    figure, axis = plt.subplots(figsize=(9, 5), layout="constrained")
    for (title, points), color in zip(curves.items(), (LINE, SECOND), strict=False):
        loads = [point.load for point in points]
        axis.plot(loads, [point.p99 for point in points], "o-", color=color, label=f"{title}, p99")
        axis.plot(loads, [point.p50 for point in points], "o--", color=color, linewidth=1.1, label=f"{title}, p50")
    axis.set_xscale("log")
    ticks = sorted({point.load for points in curves.values() for point in points})
    axis.set_xticks(ticks, [f"{load:,}" for load in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("load, events/s (a curve ends with the last load that was kept up with)")
    axis.set_title("From an event that is due to its prediction in a consumer's hands", loc="left", fontsize=11)
    axis.legend(frameon=False, loc="upper left")
    _latency_axis(axis)
    save(figure, (axis,), path)


class Course(NamedTuple):
    """A run through a burst, by slices of time: where each begins (s), latency of the events due in it (ms), and the lag then."""

    at: Floats
    p50: Floats
    p99: Floats
    lag: Floats


def burst(path: Path, course: Course, begin: float, end: float, title: str) -> None:
    """Latency above and events without a prediction below; the burst, from `begin` to `end`, is shaded."""
    figure, (times, lag) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, height_ratios=(3, 2), layout="constrained")
    times.plot(course.at, course.p99, color=LINE, label="p99 of half a second")
    times.plot(course.at, course.p50, color=LINE, linestyle="--", linewidth=1.1, label="p50")
    times.set_title(title, loc="left", fontsize=11)
    lag.plot(course.at, course.lag, color=SECOND, label="events without a prediction")
    lag.set_ylabel("events")
    lag.set_ylim(bottom=0)
    lag.yaxis.set_major_formatter("{x:,.0f}")
    lag.set_xlabel("seconds")
    for axis in (times, lag):
        axis.axvspan(begin, end, color=FAINT, alpha=0.18, linewidth=0)
        axis.legend(frameon=False, loc="upper right")
    _latency_axis(times)
    save(figure, (times, lag), path)


def _latency_axis(axis: Axes) -> None:
    axis.set_ylabel("latency, ms")
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:,g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
