"""Part `stages`: CPU an event by stage, and by thread; how long the event loop is held up; a chunk's memory; bytes an event."""

import asyncio
import time
from functools import partial

from benchmarks.contenders import WORKER
from benchmarks.drain import Ends, drain
from benchmarks.part import Measured, Options
from benchmarks.report import Row
from benchmarks.rounds import circumstances
from benchmarks.stages.alone import CHUNK_EVENTS
from benchmarks.stages.passes import CHUNKS, Pass, measured
from benchmarks.stages.threads import LIBRDKAFKA, MAIN, OTHERS, by_thread
from benchmarks.stages.traffic import bytes_so_far
from benchmarks.workload import RATE, SEED, Workload, prepared
from examples.payments.generate import Stream
from streams.cli.progress import steps

PART = "stages"
THREAD_SECONDS = 8.0
HOLDS = {
    MAIN: "the stages above, Faust, producing",
    LIBRDKAFKA: "predictions and vectors on their way: batches, compression, sockets",
    OTHERS: "fetching (aiokafka), delivery reports, `/metrics`",
}


def measure(options: Options) -> Measured:
    with prepared(options.console) as workload:
        found = asyncio.run(measured(workload))
        before = bytes_so_far(workload)
        workload.fill(Stream(options.events, RATE, SEED))
        threads = by_threads(workload, options)
        traffic = {what: (now - before[what]) / options.events for what, now in bytes_so_far(workload).items()}
        described = circumstances(workload)
    return Measured(rows(found, threads, traffic), text(found, threads, traffic, described))


def by_threads(workload: Workload, options: Options) -> dict[str, float]:
    """A saturated worker's microseconds of CPU an event, by kind of thread."""
    found: dict[str, float] = {}

    def during(pid: int) -> None:
        ends = Ends(workload.stack.bootstrap_servers)
        cpu, published = by_thread(pid), sum(ends.each())
        time.sleep(THREAD_SECONDS)
        later, done = by_thread(pid), sum(ends.each()) - published
        ends.close()
        found.update({kind: (later[kind] - cpu.get(kind, 0.0)) / done * 1e6 for kind in HOLDS})

    with steps(options.console) as show:
        drain(workload, WORKER, options.events, partial(show, "threads"), during)
    return found


def rows(found: Pass, threads: dict[str, float], traffic: dict[str, float]) -> list[Row]:
    figures = [(stage, us, "us/event") for stage, us in {**found.stages, **threads}.items()]
    figures += [
        ("page faults", found.page_faults, "faults/event"),
        ("event loop held up, p99", found.stall_p99, "ms"),
        ("event loop held up, most", found.stall_max, "ms"),
        ("memory of a chunk, most", found.chunk_mib, "MiB"),
        *((what, each, "B/event") for what, each in traffic.items()),
    ]
    return [Row(f"{PART}/{name}", round(value, 3), unit) for name, value, unit in figures]


def text(found: Pass, threads: dict[str, float], traffic: dict[str, float], described: str) -> str:
    whole = sum(found.stages.values())
    lines = ["| stage | CPU us/event | share |", "|---|---|---|"]
    lines += [f"| {stage} | {us:.2f} | {us / whole:.0%} |" for stage, us in found.stages.items()]
    lines += [f"| all, in one thread | {whole:.2f} | |", "", "| of a whole worker, saturated | CPU us/event | what it does |"]
    lines += ["|---|---|---|", *(f"| {kind} | {us:.1f} | {HOLDS[kind]} |" for kind, us in threads.items())]
    lines += ["", "| of a whole worker | bytes an event |", "|---|---|"]
    lines += [f"| {what} | {each:,.0f} |" for what, each in traffic.items()]
    lines += [
        "",
        f"{CHUNKS} chunks of {CHUNK_EVENTS:,} events. {found.page_faults:.2f} page faults an event. While chunks follow each "
        f"other, a timer of 1 ms is {found.stall_p99:.1f} ms late at p99 and {found.stall_max:.1f} ms at most. A chunk holds "
        f"{found.chunk_mib:.1f} MiB at its most. {described}",
    ]
    return "\n".join(lines)
