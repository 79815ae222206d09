"""Part `memory`: one worker's resident memory over ten million events, which are sent while it scores them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median

import psutil

from benchmarks import machine
from benchmarks.contenders import WORKER, Running
from benchmarks.drain import STALL_SECONDS, Ends, Show
from benchmarks.part import Measured, Options
from benchmarks.plots import DOCS
from benchmarks.report import Row
from benchmarks.states import footprint, plots
from benchmarks.states.users import memory
from benchmarks.workload import RATE, SEED, Workload, prepared
from examples.payments.generate import Stream
from streams.cli.progress import steps

PART = "memory"
EVENTS = 10_000_000
AHEAD = 400_000  # events in Kafka before the worker, at most a block more: it is saturated, and the disk holds what is needed
SAMPLE_SECONDS, WAIT_SECONDS = 2.0, 0.1
GREATEST_BAR, GROWTH_BAR = 400.0, 5.0  # MiB, and % over the last half
EDGE = 0.05  # of the events: medians over as many after the middle, and before the end
SAMPLES_LEAST = 5  # in each of these
PLOT = DOCS / "memory.png"


@dataclass(frozen=True, slots=True)
class Sample:
    """The worker's resident memory when so many predictions were on the broker."""

    published: int
    mib: float


@dataclass(frozen=True, slots=True)
class Run:
    """What was seen from the worker's start to its last prediction; of the time, how much went into sending; Redis at the end."""

    events: int
    samples: list[Sample]
    seconds: float
    sending_seconds: float
    redis_mib: float
    server: footprint.Server


def measure(options: Options) -> Measured:
    with prepared(options.console) as workload, steps(options.console) as show:
        run = drained(workload, EVENTS, partial(show, f"score {EVENTS:,} events"))
    found = rows(run)
    plots.resident(PLOT, [(one.published, one.mib) for one in run.samples], GREATEST_BAR, run.events // 2)
    return Measured(found, text(run))


def drained(workload: Workload, events: int, show: Show) -> Run:
    """Starts a worker and sends it so many events, never far ahead of it."""
    workload.forget()
    ends, running = Ends(workload.stack.bootstrap_servers), Running(WORKER, workload.environment, workload.folder / "worker.log")
    try:
        return _watched(workload, running, ends, events, show)
    finally:
        running.stop()
        ends.close()


def _watched(workload: Workload, running: Running, ends: Ends, events: int, show: Show) -> Run:
    process, feed = psutil.Process(running.pid), workload.feed(Stream(events, RATE, SEED), compression="lz4")
    samples: list[Sample] = []
    sent, sending, published, before = 0, 0.0, 0, sum(ends.each())
    started = moved = due = time.monotonic()
    while published < events:
        running.check()
        now, last, published = time.monotonic(), published, sum(ends.each()) - before
        moved = now if published > last else moved
        if now - moved > STALL_SECONDS:
            raise RuntimeError(f"{published:,} of {events:,} predictions after {STALL_SECONDS:.0f} s without a new one")
        if now >= due or published >= events:
            samples.append(Sample(published, process.memory_info().rss / 2**20))
            due = now + SAMPLE_SECONDS
            show(published, events)
        if sent < events and sent - published < AHEAD:
            sent += next(feed)[0]
            sending += time.monotonic() - now
        else:
            time.sleep(WAIT_SECONDS)
    url = workload.stack.redis_url
    return Run(events, samples, time.monotonic() - started, sending, memory(url) / 2**20, footprint.Server.of(url))


def edges(samples: Sequence[Sample], events: int) -> tuple[float, float]:
    """MiB where the last half begins, and at the end: medians, because garbage comes and goes. RuntimeError with few samples."""
    return _median(samples, 0.5 * events, (0.5 + EDGE) * events), _median(samples, (1 - EDGE) * events, events)


def _median(samples: Sequence[Sample], first: float, last: float) -> float:
    found = [one.mib for one in samples if first <= one.published <= last]
    if len(found) < SAMPLES_LEAST:
        raise RuntimeError(f"only {len(found)} samples between {first:,.0f} and {last:,.0f} events: measure more events")
    return median(found)


def growth(run: Run) -> float:
    """Of resident memory over the last half of the events, in percent."""
    middle, end = edges(run.samples, run.events)
    return 100 * (end / middle - 1)


def rows(run: Run) -> list[Row]:
    greatest, grown = max(one.mib for one in run.samples), growth(run)
    return [
        Row(f"{PART}/worker, greatest", round(greatest, 1), "MiB", GREATEST_BAR, greatest <= GREATEST_BAR),
        Row(f"{PART}/worker, at the end", round(edges(run.samples, run.events)[1], 1), "MiB"),
        Row(f"{PART}/worker, growth over the last {run.events // 2:,}", round(grown, 2), "%", GROWTH_BAR, grown < GROWTH_BAR),
        Row(f"{PART}/Redis, at the end", round(run.redis_mib, 1), "MiB"),
        Row(f"{PART}/events", run.events, "events"),
    ]


def text(run: Run) -> str:
    """A table, and how it came about."""
    middle, end = edges(run.samples, run.events)
    greatest = max(one.mib for one in run.samples)
    return f"""\
| | | bar |
|---|---|---|
| resident memory of the worker, greatest | {greatest:.0f} MiB | <= {GREATEST_BAR:.0f} MiB |
| after {run.events // 2:,} events | {middle:.0f} MiB | |
| after {run.events:,} events | {end:.0f} MiB | |
| growth over the last {run.events // 2:,} | {growth(run):+.1f} % | < {GROWTH_BAR:.0f} % |
| Redis' `used_memory` at the end | {run.redis_mib:.0f} MiB | |

{run.events:,} events in {run.seconds:,.0f} s, start included; {run.sending_seconds:,.0f} s of them went into sending; \
{len(run.samples):,} samples. {datetime.now(UTC):%Y-%m-%d}; {machine.describe(run.server.version)}; load over the last \
minute at the end {machine.load():.1f}."""
