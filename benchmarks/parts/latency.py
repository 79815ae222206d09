"""Part `latency`: from event to prediction against the load, the worker and the overlapped loop by hand, up to saturation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from benchmarks import load_plots
from benchmarks.contenders import OVERLAPPED, WORKER, Contender
from benchmarks.load import LATE_MS, Phase
from benchmarks.load_plots import Point
from benchmarks.open_loop import under_load, warm_broker
from benchmarks.part import Measured, Options
from benchmarks.plots import DOCS
from benchmarks.report import Row, Spread, cell
from benchmarks.rounds import circumstances
from benchmarks.trace import Trace
from benchmarks.workload import PARTITIONS, Workload, prepared
from streams.cli.progress import steps

PART = "latency"
# For a drain it waits 50 ms for a full batch: under a light load most of its latency.
PROMPT = replace(OVERLAPPED, command=(*OVERLAPPED.command, "--wait-ms", "5"))
CONTENDERS = (WORKER, PROMPT)
LOADS = (1_000, 2_500, 5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 40_000, 60_000)
BAR_LOAD = 5_000
P99_BAR, CPU_BAR = 1.5, 60.0  # times the loop's, and microseconds an event, at most
WARM_SECONDS, MEASURED_SECONDS = 5.0, 15.0
KEPT_UP = 0.97  # of the load, in predictions
PLOT = DOCS / "latency.png"
UNITS = {"p50": "ms", "p99": "ms", "achieved": "events/s", "worker_cpu_us": "us/event", "redis_cpu_us": "us/event"}


@dataclass(frozen=True, slots=True)
class Step:
    """A contender under one load, once. Latencies in milliseconds; ``sent_late`` is the generator's p99."""

    load: int
    p50: float
    p99: float
    achieved: float
    worker_cpu_us: float
    redis_cpu_us: float
    sent_late: float

    @classmethod
    def of(cls, load: int, trace: Trace, begin: float, end: float) -> "Step":
        p50, p99 = (trace.quantile_ms(share, begin, end) for share in (0.5, 0.99))
        return cls(load, p50, p99, trace.achieved(begin, end), *trace.cpu_us(begin, end), trace.sent_late_ms(0.99, begin, end))

    @property
    def fault(self) -> str | None:
        """Why its latencies are none of the load's, if so."""
        if self.sent_late > LATE_MS:
            return f"the generator was {self.sent_late:,.0f} ms behind its schedule"
        if self.achieved < KEPT_UP * self.load or not math.isfinite(self.p99):
            return f"it made {self.achieved:,.0f} predictions/s"
        return None


@dataclass(frozen=True, slots=True)
class Rung:
    """A contender under one load, as often as it was measured."""

    load: int
    steps: Sequence[Step]

    @property
    def fault(self) -> str | None:
        return next((step.fault for step in self.steps if step.fault), None)

    def spread(self, figure: str) -> Spread:
        return Spread.of([getattr(step, figure) for step in self.steps])


Ladders = Mapping[str, Sequence[Rung]]  # by contender


def measure(options: Options) -> Measured:
    with prepared(options.console) as workload:
        with steps(options.console) as show:
            warm_broker(workload, partial(show, "warming the broker"))
        ladders = climb(workload, options)
        described = circumstances(workload)
    load_plots.latency(PLOT, {one.title.replace("`", ""): points(ladders[one.name]) for one in CONTENDERS})
    return Measured(rows(ladders), text(ladders, options.rounds, described))


def climb(workload: Workload, options: Options) -> Ladders:
    """Contenders in turn at each load; who does not keep up with one is not asked for the next.

    RuntimeError where one does not come as far as the load of the bar.
    """
    ladders: dict[str, list[Rung]] = {one.name: [] for one in CONTENDERS}
    climbing = list(CONTENDERS)
    for load in LOADS:
        rounds = options.rounds if load == BAR_LOAD else 1
        found = at_load(workload, climbing, load, rounds, options.console)
        for name, taken in found.items():
            ladders[name].append(rung := Rung(load, taken))
            if load <= BAR_LOAD and rung.fault:
                raise RuntimeError(f"{name} at {load:,} events/s: {rung.fault}")
        climbing = [one for one in climbing if ladders[one.name][-1].fault is None]
        if not climbing:
            break
    return ladders


def at_load(
    workload: Workload, contenders: Sequence[Contender], load: int, rounds: int, console: Console
) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {one.name: [] for one in contenders}
    phases = [Phase(load, WARM_SECONDS + MEASURED_SECONDS)]
    with steps(console) as show:
        for number in range(1, rounds + 1):
            for one in contenders:
                trace = under_load(workload, one, phases, partial(show, f"{load:,}/s {number}/{rounds} {one.name}"))
                found[one.name].append(Step.of(load, trace, WARM_SECONDS, WARM_SECONDS + MEASURED_SECONDS))
    return found


def points(rungs: Sequence[Rung]) -> list[Point]:
    """For the plot; loads that were kept up with."""
    kept = [rung for rung in rungs if rung.fault is None]
    return [Point(rung.load, rung.spread("p50").middle, rung.spread("p99").middle) for rung in kept]


def rows(ladders: Ladders) -> list[Row]:
    """Every figure at every load, without latencies where a load was not kept up with: they grow with the time it lasts."""
    found = []
    for name, rungs in ladders.items():
        for rung in rungs:
            kept = UNITS if rung.fault is None else ("achieved", "worker_cpu_us", "redis_cpu_us")
            found += [_row(name, rung, figure) for figure in kept]
    ratio = against(ladders).middle
    found.append(Row(f"{PART}/p99 at {BAR_LOAD} against {PROMPT.name}", round(ratio, 3), "x", P99_BAR, ratio <= P99_BAR))
    return found


def _row(name: str, rung: Rung, figure: str) -> Row:
    value = rung.spread(figure).middle
    bar = CPU_BAR if (name, rung.load, figure) == (WORKER.name, BAR_LOAD, "worker_cpu_us") else None
    return Row(f"{PART}/{name}/{rung.load}/{figure}", round(value, 3), UNITS[figure], bar, None if bar is None else value <= bar)


def against(ladders: Ladders) -> Spread:
    """The worker's p99 by the loop's at the load of the bar, round by round."""
    ours, theirs = (next(rung for rung in ladders[one.name] if rung.load == BAR_LOAD) for one in CONTENDERS)
    return Spread.of([a.p99 / b.p99 for a, b in zip(ours.steps, theirs.steps, strict=True)])


def text(ladders: Ladders, rounds: int, described: str) -> str:
    lines = [
        "| load, events/s | | p50, ms | p99, ms | predictions/s | worker CPU us/event | Redis CPU us/event |",
        "|---|---|---|---|---|---|---|",
    ]
    taken = [(one.title, rung) for load in LOADS for one in CONTENDERS for rung in ladders[one.name] if rung.load == load]
    lines += [_line(title, rung) for title, rung in taken]
    late = max(step.sent_late for _, rung in taken for step in rung.steps if step.fault is None)
    ended = [f"{title} ended at {rung.load:,}: {rung.fault}." for title, rung in taken if rung.fault]
    said = (
        f"p99 of the worker at {BAR_LOAD:,} events/s by the loop's: {cell(against(ladders), '.2f')} x.",
        *(ended or ["No load was too much."]),
        f"{MEASURED_SECONDS:.0f} s each after {WARM_SECONDS:.0f} s; {rounds} rounds in turn at {BAR_LOAD:,}, median (least to "
        "greatest).",
        f"{PARTITIONS} partitions. p99 of what the generator was late: {late:.1f} ms at most. {described}",
    )
    plot = "![p50 and p99 against the load, of the worker and the loop by hand](plots/latency.png)"
    return "\n".join([*lines, "", plot, "", " ".join(said)])


def _line(title: str, rung: Rung) -> str:
    latencies = [_cell(rung, figure, ".1f") if rung.fault is None else "" for figure in ("p50", "p99")]
    figures = [_cell(rung, "achieved", ",.0f"), _cell(rung, "worker_cpu_us", ".1f"), _cell(rung, "redis_cpu_us", ".1f")]
    return f"| {' | '.join([f'{rung.load:,}', title, *latencies, *figures])} |"


def _cell(rung: Rung, figure: str, style: str) -> str:
    """With its spread where there were several rounds."""
    spread = rung.spread(figure)
    return cell(spread, style) if len(rung.steps) > 1 else f"{spread.middle:{style}}"
