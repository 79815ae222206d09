"""Part `partitions`: one worker and the same events in few partitions and in many."""

from dataclasses import replace
from functools import partial

from benchmarks import report
from benchmarks.contenders import WORKER, Contender
from benchmarks.drain import Drain, drain
from benchmarks.part import Measured, Options
from benchmarks.rounds import circumstances
from benchmarks.workload import PARTITIONS, RATE, SEED, Workload, prepared
from examples.payments.generate import Stream
from streams.cli.progress import steps

PART = "partitions"
MORE, MANY = 16, 200
BAR = 0.9  # the least throughput with 16 partitions by that with 4
DIVISOR = 2  # of the events that other parts drain: the topics are filled anew for every drain
MANY_DIVISOR = 4  # of these events again, with many partitions: slow


def contender(partitions: int) -> Contender:
    """The worker, under the name of how many partitions it has."""
    return replace(WORKER, name=f"{partitions} partitions", title=str(partitions))


FEW = contender(PARTITIONS).name


def measure(options: Options) -> Measured:
    options = replace(options, events=options.events // DIVISOR)
    with prepared(options.console) as workload:
        results = in_turn(workload, (PARTITIONS, MORE, MANY), options)
        described = (
            f"{options.events:,} events, of which {options.events // MANY_DIVISOR:,} are drained from {MANY} partitions, "
            f"{options.rounds} rounds in turn: median (least to greatest). {circumstances(workload)}"
        )
    found = [contender(count) for count in (PARTITIONS, MORE, MANY)]
    ratios = {one.name: report.by_round(results[one.name], results[FEW], "events_per_second") for one in found[1:]}
    rows = [
        report.at_least(
            f"{PART}/throughput, {name} against {FEW}", ratio.middle, "x", BAR if name == contender(MORE).name else None
        )
        for name, ratio in ratios.items()
    ]
    against = ", ".join(f"{name} {report.cell(ratio, '.2f')} x" for name, ratio in ratios.items())
    text = f"{report.cost_table('partitions', results, found)}\n\nThroughput against that of {FEW}, round by round: {against}."
    return Measured([*report.costs(PART, results), *rows], f"{text} {described}")


def in_turn(workload: Workload, counts: tuple[int, ...], options: Options) -> dict[str, list[Drain]]:
    """Each number of partitions in turn, its topics made and filled anew each time."""
    results: dict[str, list[Drain]] = {contender(count).name: [] for count in counts}
    with steps(options.console) as show:
        for number in range(1, options.rounds + 1):
            for count in counts:
                one = contender(count)
                workload = workload.repartitioned(count)
                workload.fill(Stream(options.events, RATE, SEED))
                shown = partial(show, f"{number}/{options.rounds} {one.name}")
                events = options.events // (MANY_DIVISOR if count == MANY else 1)
                results[one.name].append(drain(workload, one, events, shown))
    return results
