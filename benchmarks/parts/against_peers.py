"""Part `peers`: one worker beside other streaming frameworks, in their own environment, with the worker's store and model."""

from pathlib import Path

from benchmarks import report
from benchmarks.contenders import WORKER, Contender
from benchmarks.part import Measured, Options
from benchmarks.peers import environment
from benchmarks.rounds import compete
from benchmarks.workload import prepared

PART = "peers"
PEERS = "benchmarks.peers"
# Ten seconds and more of each. Bytewax publishes a thousand of each partition at once: five such bursts.
FAUST_EVENTS, QUIX_EVENTS, BYTEWAX_EVENTS, TAKE_EVENTS = 5_000, 8_000, 20_000, 40_000
BARS = {"Faust": 40.0, "Quix Streams": 20.0}  # the least throughput against them


def contenders(python: Path) -> tuple[Contender, ...]:
    """The worker and its peers; `python` is the peers' interpreter."""
    here, faust = str(python), str(python.with_name("faust"))
    worker = ("worker", "--web-port", "{port}")
    return (
        WORKER,
        Contender("Faust", (faust, "-A", f"{PEERS}.faust_documented", *worker), "Faust as documented", "single", FAUST_EVENTS),
        Contender(
            "Faust with take",
            (faust, "-A", f"{PEERS}.faust_take", "-L", "uvloop", *worker),
            "Faust with `take(1000)`, tuned",
            "printed",
            TAKE_EVENTS,
        ),
        Contender("Quix Streams", (here, "-m", f"{PEERS}.quix_documented"), "Quix Streams as documented", "single", QUIX_EVENTS),
        Contender(
            "Bytewax",
            (here, "-m", "bytewax.run", f"{PEERS}.bytewax_documented"),
            "Bytewax as documented",
            "single",
            BYTEWAX_EVENTS,
        ),
    )


def measure(options: Options) -> Measured:
    found = contenders(environment.interpreter())
    with prepared(options.console) as workload:
        rounds = compete(workload, found, options)
    fewer = ", ".join(f"{one.title} {one.share(options.events):,}" for one in found if one.events is not None)
    text = f"{report.table(rounds.results, found)}\n\n{rounds.described} Of the events: {fewer}."
    return Measured(report.rows(PART, rounds.results, BARS), text)
