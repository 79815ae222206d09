"""Part `chunk_size`: one worker with chunks of different largest sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter

from benchmarks import report
from benchmarks.contenders import WORKER, Contender
from benchmarks.drain import Drain
from benchmarks.part import Measured, Options
from benchmarks.plots import DOCS, FAINT, LINE, SECOND, plt, save
from benchmarks.rounds import circumstances, in_turn
from benchmarks.workload import RATE, SEED, prepared
from examples.payments.generate import Stream
from streams.cli.worker import MOST_CHUNK_EVENTS
from streams.worker import WorkerOptions

PART = "chunk_size"
SIZES = (100, 250, 500, 1_000, 2_000, MOST_CHUNK_EVENTS)  # a worker takes no larger one
DEFAULT = WorkerOptions().max_chunk_events
ROUNDS = 2
DIVISOR = 2  # of the events that other parts drain: small chunks are slow

Results = Mapping[str, Sequence[Drain]]


def contender(size: int) -> Contender:
    """A worker with this largest chunk; its name is the size."""
    title = f"{size:,} (default)" if size == DEFAULT else f"{size:,}"
    return replace(WORKER, name=str(size), command=(*WORKER.command, "--max-chunk-events", str(size)), title=title)


def measure(options: Options) -> Measured:
    found = [contender(size) for size in SIZES]
    options = replace(options, events=options.events // DIVISOR, rounds=min(ROUNDS, options.rounds))
    with prepared(options.console) as workload:
        workload.fill(Stream(options.events, RATE, SEED))
        results = in_turn(workload, found, options)
        described = (
            f"{options.events:,} events, {options.rounds} rounds in turn: median (least to greatest). {circumstances(workload)}"
        )
    plot(DOCS / "chunk_size.png", results)
    table = report.cost_table("largest chunk", results, found)
    image = "![Throughput and CPU an event by the largest chunk](plots/chunk_size.png)"
    return Measured(report.costs(PART, results), f"{table}\n\n{image}\n\n{described}")


def plot(path: Path, results: Results) -> None:
    """Throughput, and CPU an event of the worker and of Redis, by the largest chunk; the bars reach from least to greatest."""
    figure, (rate, cpu) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    _line(rate, results, "events_per_second", LINE, "one worker")
    _line(cpu, results, "worker_cpu_us", LINE, "worker")
    _line(cpu, results, "redis_cpu_us", SECOND, "Redis")
    rate.set_title("throughput", loc="left", fontsize=11)
    rate.set_ylabel("events a second")
    rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    cpu.set_title("CPU", loc="left", fontsize=11)
    cpu.set_ylabel("microseconds an event")
    for axis in (rate, cpu):
        axis.set_xscale("log")
        axis.set_xticks(SIZES, [f"{size:,}" for size in SIZES], fontsize=8)
        axis.minorticks_off()
        axis.set_xlabel("largest chunk, events")
        axis.set_ylim(bottom=0)
        axis.axvline(DEFAULT, color=FAINT, linestyle="--", linewidth=1, label="default")
        axis.legend(frameon=False)
    save(figure, (rate, cpu), path)


def _line(axis: Any, results: Results, figure: str, color: str, label: str) -> None:
    spreads = [report.figures(results[str(size)])[figure] for size in SIZES]
    middles = [one.middle for one in spreads]
    reach = [[one.middle - one.least for one in spreads], [one.greatest - one.middle for one in spreads]]
    axis.errorbar(SIZES, middles, yerr=reach, color=color, label=label, marker="o", markersize=4, capsize=3)
