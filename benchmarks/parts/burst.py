"""Part `burst`: ten times the load for half a minute, what that does to the worker's latency, and how soon it is over."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import load_plots
from benchmarks.contenders import WORKER
from benchmarks.load import LATE_MS, Phase
from benchmarks.load_plots import Course
from benchmarks.open_loop import under_load, warm_broker
from benchmarks.part import Measured, Options
from benchmarks.plots import DOCS
from benchmarks.report import Row, Spread, cell
from benchmarks.rounds import circumstances
from benchmarks.trace import Trace
from benchmarks.workload import PARTITIONS, prepared
from streams.cli.progress import steps

PART = "burst"
QUIET, BURST = 1_000, 10_000  # events a second
BEFORE_SECONDS, BURST_SECONDS, AFTER_SECONDS = 15.0, 30.0, 30.0
WARM_SECONDS = 5.0  # of the quiet before
PHASES = (Phase(QUIET, BEFORE_SECONDS), Phase(BURST, BURST_SECONDS), Phase(QUIET, AFTER_SECONDS))
BEGIN, END = BEFORE_SECONDS, BEFORE_SECONDS + BURST_SECONDS
RECOVERED = 2.0  # times the p99 before
WINDOW_SECONDS, WINDOW_STEP = 1.0, 0.1  # of which p99 is taken until it has recovered
SLICE_SECONDS = 0.5  # of the plot
PLOT = DOCS / "burst.png"
UNITS = {"p99_before": "ms", "p50_burst": "ms", "p99_burst": "ms", "greatest_lag": "events", "recovery": "s"}
TITLES = {
    "p99_before": "p99 before, ms",
    "p50_burst": "p50 in the burst, ms",
    "p99_burst": "p99 in the burst, ms",
    "greatest_lag": "greatest lag, events",
    "recovery": "seconds to recover",
}


@dataclass(frozen=True, slots=True)
class Burst:
    """One run: latencies in milliseconds, recovery in seconds after the burst's end."""

    p99_before: float
    p50_burst: float
    p99_burst: float
    greatest_lag: float
    recovery: float


def measure(options: Options) -> Measured:
    traces = []
    with prepared(options.console) as workload, steps(options.console) as show:
        warm_broker(workload, partial(show, "warming the broker"))
        for number in range(1, options.rounds + 1):
            traces.append(under_load(workload, WORKER, PHASES, partial(show, f"{number}/{options.rounds} burst")))
        described = circumstances(workload)
    found = [burst(trace) for trace in traces]
    middle = sorted(zip(found, traces, strict=True), key=lambda one: one[0].p99_burst)[len(found) // 2][1]
    title = f"tidegate worker, {QUIET:,} events/s and {BURST:,} for {BURST_SECONDS:.0f} s (shaded)"
    load_plots.burst(PLOT, course(middle), BEGIN, END, title)
    return Measured(rows(found), text(found, described))


def burst(trace: Trace) -> Burst:
    """The run's figures; RuntimeError where they would be the generator's, or an event was left without a prediction."""
    late = trace.sent_late_ms(0.99, WARM_SECONDS, END + AFTER_SECONDS)
    if late > LATE_MS:
        raise RuntimeError(f"the generator was {late:,.0f} ms behind its schedule")
    before = trace.quantile_ms(0.99, WARM_SECONDS, BEGIN)
    p50, p99 = (trace.quantile_ms(share, BEGIN, END) for share in (0.5, 0.99))
    lag = trace.lag(np.arange(BEGIN, END + AFTER_SECONDS, 0.05))
    found = Burst(before, p50, p99, float(lag.max()), recovery_seconds(trace, before))
    if left := int(np.count_nonzero(np.isnan(trace.arrived))):
        raise RuntimeError(f"{left:,} events had no prediction at the end")
    return found


def recovery_seconds(trace: Trace, before_ms: float) -> float:
    """From the burst's end to the first second whose events have a p99 of at most twice the one before; 0 if that is at once."""
    for after in np.arange(0.0, AFTER_SECONDS - WINDOW_SECONDS + WINDOW_STEP / 2, WINDOW_STEP):
        begin = END + float(after)
        if trace.quantile_ms(0.99, begin, begin + WINDOW_SECONDS) <= RECOVERED * before_ms:
            return round(float(after), 1)
    raise RuntimeError(f"p99 was above {RECOVERED:.0f} x {before_ms:.1f} ms for {AFTER_SECONDS:.0f} s after the burst")


def course(trace: Trace) -> Course:
    at = np.arange(0.0, END + AFTER_SECONDS, SLICE_SECONDS)
    p50, p99 = (np.array([trace.quantile_ms(share, begin, begin + SLICE_SECONDS) for begin in at]) for share in (0.5, 0.99))
    return Course(at, p50, p99, trace.lag(at))


def _spread(found: Sequence[Burst], figure: str) -> Spread:
    return Spread.of([getattr(one, figure) for one in found])


def rows(found: Sequence[Burst]) -> list[Row]:
    return [Row(f"{PART}/{figure}", round(_spread(found, figure).middle, 3), unit) for figure, unit in UNITS.items()]


def text(found: Sequence[Burst], described: str) -> str:
    cells = [cell(_spread(found, figure), ",.1f") for figure in TITLES]
    return "\n".join(
        [
            f"| {' | '.join(TITLES.values())} |",
            "|" + "---|" * len(TITLES),
            f"| {' | '.join(cells)} |",
            "",
            "![p50 and p99 of half a second, and events without a prediction, over time](plots/burst.png)",
            "",
            f"{QUIET:,} events/s, {BURST:,} for {BURST_SECONDS:.0f} s, {QUIET:,} again; {len(found)} rounds: median (least to "
            f"greatest); the plot is of the one with the median p99. {PARTITIONS} partitions. {described}",
        ]
    )
