"""Part `startup`: how soon a worker predicts, where that time goes, and how long a rolling restart interrupts a partition."""

from collections.abc import Sequence
from functools import partial

from benchmarks import report, restarts
from benchmarks.part import Measured, Options
from benchmarks.report import Spread
from benchmarks.rounds import circumstances
from benchmarks.starts import PHASES, PREDICTION, Moments, durations, start
from benchmarks.workload import RATE, SEED, prepared
from examples.payments.generate import Stream
from streams.cli.progress import steps
from tests.faults import report as faults
from tests.faults.world import SESSION_SECONDS

PART = "startup"
STARTS, ROLLS = 5, 5
EVENTS = 20_000  # wait in the topic
START_BAR, PAUSE_BAR = 5.0, 2.0  # seconds


def measure(options: Options) -> Measured:
    with prepared(options.console) as workload, steps(options.console) as show:
        workload.fill(Stream(EVENTS, RATE, SEED))
        start(workload)  # fetches the model, proves it, compiles the kernel, keeps Python's bytecode
        starts = []
        for number in range(STARTS):
            show("start", number + 1, STARTS)
            starts.append(start(workload))
        uncompiled = start(workload, bytecode=False)[PREDICTION]
        described = circumstances(workload)
    with steps(options.console) as show:
        pauses = restarts.pauses(ROLLS, partial(show, "rolling restart"))
    first, pause = Spread.of([one[PREDICTION] for one in starts]), Spread.of(pauses)
    rows = [
        report.at_most(f"{PART}/start to first prediction", first.middle, "s", START_BAR),
        *(report.at_most(f"{PART}/start/{name}", spread.middle, "s") for name, spread in phases(starts).items()),
        report.at_most(f"{PART}/start without bytecode", uncompiled, "s"),
        report.at_most(f"{PART}/rolling restart/pause of a partition, median", pause.middle, "s"),
        report.at_most(f"{PART}/rolling restart/pause of a partition, longest", pause.greatest, "s", PAUSE_BAR),
    ]
    return Measured(rows, text(starts, uncompiled, pauses, described))


def phases(starts: Sequence[Moments]) -> dict[str, Spread]:
    """Seconds that each phase took."""
    found = [durations(one) for one in starts]
    return {name: Spread.of([one[name] for one in found]) for name in PHASES}


def text(starts: Sequence[Moments], uncompiled: float, pauses: Sequence[float], described: str) -> str:
    """What stands in docs/performance.md."""
    first, pause = Spread.of([one[PREDICTION] for one in starts]), Spread.of(pauses)
    lines = ["| phase of a start | s |", "|---|---|"]
    lines += [f"| {PHASES[name]} | {report.cell(spread, '.2f')} |" for name, spread in phases(starts).items()]
    lines += [f"| **from the process to its first prediction** | {report.cell(first, '.2f')} |"]
    return "\n".join(lines) + (
        f"\n\n{len(starts)} starts, median (least to greatest); one without Python's bytecode took {uncompiled:.2f} s. "
        f"Rolling restart: a partition was without predictions for {pause.middle:.2f} s at most in the median restart of "
        f"{len(pauses)}, for {pause.greatest:.2f} s in the worst."
        f"{after_a_kill(faults.read())} {described}"
    )


def after_a_kill(rows: Sequence[faults.Row]) -> str:
    """A sentence on what `make faults` measured of kill -9, if it has."""
    found = [row for row in rows if row.fault == "kill" and row.recovery_seconds_median is not None]
    return "".join(
        f" After `kill -9` of a worker, at a session timeout of {SESSION_SECONDS:.0f} s, every partition had predictions "
        f"again after {row.recovery_seconds_median:.1f} s in the median and {row.recovery_seconds_max:.1f} s at most "
        f"([{row.runs} kills of `make faults`](guarantees.md))."
        for row in found
    )
