"""Part `workers`: two workers that share a topic's partitions, and one alone."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks import report
from benchmarks.contenders import WORKER, Running
from benchmarks.drain import SAMPLE_SECONDS, Drain, drain
from benchmarks.part import Measured, Options
from benchmarks.rounds import circumstances
from benchmarks.workload import RATE, SEED, Workload, prepared
from examples.payments.generate import Stream
from streams.cli.progress import steps

PART = "workers"
ONE = replace(WORKER, name="one worker", title="one")
TWO = replace(WORKER, name="two workers", title="two", processes=2)
CPU_BAR = 1.1  # the most that two spend on an event, by what one does
READY_SECONDS = 120.0


def measure(options: Options) -> Measured:
    with prepared(options.console) as workload:
        results = in_turn(workload, options)
        described = (
            f"{options.events:,} events, {options.rounds} rounds in turn: median (least to greatest). {circumstances(workload)}"
        )
    cpu, throughput = (
        report.by_round(results[TWO.name], results[ONE.name], figure) for figure in ("worker_cpu_us", "events_per_second")
    )
    rows = [
        report.at_most(f"{PART}/worker CPU an event, two against one", cpu.middle, "x", CPU_BAR),
        report.at_least(f"{PART}/throughput, two against one", throughput.middle, "x"),
    ]
    against = f"worker CPU an event {report.cell(cpu, '.2f')} x, throughput {report.cell(throughput, '.2f')} x"
    text = f"{report.cost_table('workers', results, (ONE, TWO))}\n\nTwo against one, round by round: {against}. {described}"
    return Measured([*report.costs(PART, results), *rows], text)


def in_turn(workload: Workload, options: Options) -> dict[str, list[Drain]]:
    """One and two in turn, each on a topic filled anew that it sees when all its processes have partitions."""
    results: dict[str, list[Drain]] = {ONE.name: [], TWO.name: []}
    with steps(options.console) as show:
        for number in range(1, options.rounds + 1):
            for contender in (ONE, TWO):
                workload.empty()
                begin = partial(_begin, workload.hide(Stream(options.events, RATE, SEED)))
                shown = partial(show, f"{number}/{options.rounds} {contender.name}")
                results[contender.name].append(drain(workload, contender, options.events, shown, begin=begin))
    return results


def _begin(reveal: Callable[[], None], running: Running) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not running.all_assigned():
        running.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all workers had partitions within {READY_SECONDS:.0f} s")
        time.sleep(SAMPLE_SECONDS)
    reveal()
