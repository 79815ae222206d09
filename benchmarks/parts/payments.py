"""Part `payments`: one worker beside hand-written loops, with its store and model."""

from benchmarks import report
from benchmarks.contenders import OVERLAPPED, SEQUENTIAL, WORKER
from benchmarks.part import Measured, Options
from benchmarks.rounds import compete
from benchmarks.workload import prepared

CONTENDERS = (WORKER, SEQUENTIAL, OVERLAPPED)
BARS = {OVERLAPPED.name: 0.75}  # the least throughput against it


def measure(options: Options) -> Measured:
    with prepared(options.console) as workload:
        rounds = compete(workload, CONTENDERS, options)
    text = f"{report.table(rounds.results, CONTENDERS)}\n\n{rounds.described}"
    return Measured(report.rows("payments", rounds.results, BARS), text)
