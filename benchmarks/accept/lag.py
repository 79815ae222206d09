"""Lag in seconds against the truth: bursty and quiet topics, a group that is through, and `tidegate lag` killed twenty times.

The truth is the harness's own: it knows when the broker appended each record (acknowledgements say) and when each commit was
made. A value is compared with the truth at the end of the look that it is of, which /metrics names: the time between two looks is
the user's to choose, and no error. Nothing is read from the monitor but /metrics.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from rich.console import Console

from benchmarks.accept.lag_process import LagProcess, Scrape
from benchmarks.accept.lag_traffic import Stream, Traffic, bursts, drops
from benchmarks.report import Row, at_most
from streams.embedded import Stack
from streams.lag.watch import Watcher

INTERVAL, INTERVAL_SECONDS = "1s", 1.0
LOOKS = 40
KILLS = 20
OFF_BAR_SECONDS = 2.0
CAUGHT_UP_RECORDS = 1000
GROUPS, PARTITIONS, COST_LOOKS = 50, 12, 10


@dataclass(slots=True)
class Findings:
    """What was shown, look by look, and what was wrong with it."""

    looks: list[Scrape] = field(default_factory=list)
    after_kill: list[Scrape] = field(default_factory=list)
    right_after_seconds: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def accept(console: Console) -> list[Row]:
    """Rows lag/...; about two minutes."""
    with Stack.start(redis=False, environ={}) as stack, _traffic(stack.bootstrap_servers) as traffic:
        findings = Findings()
        console.print(f"comparing {LOOKS} looks with the truth ...")
        _compare(stack.bootstrap_servers, findings)
        console.print(f"killing tidegate lag {KILLS} times ...")
        for number in range(KILLS):
            _kill(stack.bootstrap_servers, traffic, number, findings)
        for violation in findings.violations:
            console.print(violation)
        rows = _rows(traffic, findings)
        return [*rows, *_cost(stack.bootstrap_servers, traffic)]


@contextmanager
def _traffic(bootstrap_servers: str) -> Iterator[Traffic]:
    traffic = Traffic(bootstrap_servers)
    bursty, quiet, through = (traffic.topic(name, n) for name, n in (("bursty", 4), ("quiet", 2), ("through", 1)))
    traffic.send(bursty[-1], 10)
    traffic.commit("bursty", dict.fromkeys(bursty, 0))
    traffic.commit("quiet", dict.fromkeys(quiet, 0))
    traffic.send(through[0], CAUGHT_UP_RECORDS)
    traffic.commit("through", {through[0]: CAUGHT_UP_RECORDS})
    for number in range(KILLS):
        traffic.commit(f"doomed-{number}", {through[0]: 1})
    streams = [Stream(traffic, bursty, bursts, seed=1), Stream(traffic, quiet, drops, seed=2)]
    for stream in streams:
        stream.start()
    try:
        yield traffic
    finally:
        for stream in streams:
            stream.stop()
        traffic.close()


def _compare(bootstrap_servers: str, findings: Findings) -> None:
    process = LagProcess(bootstrap_servers, INTERVAL)
    try:
        at = 0.0
        for _ in range(LOOKS):
            findings.looks.append(process.next_look(at))
            at = findings.looks[-1].looked_at
    finally:
        process.kill()


def _kill(bootstrap_servers: str, traffic: Traffic, number: int, findings: Findings) -> None:
    """A process that has looked is killed; a group is deleted; the next process must be right within an interval."""
    first = LagProcess(bootstrap_servers, INTERVAL)
    try:
        first.next_look(0.0)
        time.sleep(random.Random(number).uniform(0, INTERVAL_SECONDS))  # between two looks, or in the middle of one
    finally:
        first.kill()
    traffic.delete_group(f"doomed-{number}")
    second = LagProcess(bootstrap_servers, INTERVAL)
    try:
        shown = second.next_look(0.0)
        findings.right_after_seconds.append(time.time() - second.started_at)
        findings.after_kill.append(shown)
    finally:
        second.kill()
    expected = {group for group, _ in traffic.positions}
    if shown.groups != expected:
        findings.violations.append(f"kill {number}: shown {sorted(shown.groups)}, there are {sorted(expected)}")
    if shown.lag_seconds.keys() != traffic.positions.keys():
        findings.violations.append(f"kill {number}: partitions are missing, or too many")


def _rows(traffic: Traffic, findings: Findings) -> list[Row]:
    kept = {group for group, _ in traffic.positions}
    off = {group: _largest(traffic, findings.looks, {group}) for group in ("bursty", "quiet")}
    after_kill = _largest(traffic, findings.after_kill, kept)
    late = sum(seconds > INTERVAL_SECONDS for seconds in findings.right_after_seconds)
    wrong = sum(_largest(traffic, [shown], kept) > OFF_BAR_SECONDS for shown in findings.after_kill)
    scrapes = findings.looks + findings.after_kill
    through = [value for shown in scrapes for (group, _), value in shown.lag_seconds.items() if group == "through"]
    return [
        at_most("lag/bursty/largest difference", off["bursty"], "s", OFF_BAR_SECONDS),
        at_most("lag/quiet/largest difference", off["quiet"], "s", OFF_BAR_SECONDS),
        at_most("lag/caught up/largest value", max(through), "s", 0.0),
        at_most("lag/NaN values", sum(shown.nans for shown in scrapes), "count", 0.0),
        at_most("lag/kill -9/violations", len(findings.violations) + late + wrong, "count", 0.0),
        at_most("lag/kill -9/largest difference", after_kill, "s", OFF_BAR_SECONDS),
        at_most("lag/kill -9/latest first values", max(findings.right_after_seconds), "s", INTERVAL_SECONDS),
        at_most("lag/kill -9/kills", len(findings.after_kill), "count"),
        at_most("lag/looks compared", len(scrapes), "count"),
        at_most("lag/values compared", sum(len(shown.lag_seconds) for shown in scrapes), "count"),
        at_most("lag/largest lag shown", max(max(shown.lag_seconds.values()) for shown in scrapes), "s"),
        at_most("lag/longest look", max(shown.look_seconds for shown in scrapes), "s"),
    ]


def _largest(traffic: Traffic, scrapes: list[Scrape], groups: set[str]) -> float:
    """The largest difference from the truth of the groups' values."""
    return max(
        traffic.difference(group, tp, value, shown.looked_at - shown.look_seconds, shown.looked_at)
        for shown in scrapes
        for (group, tp), value in shown.lag_seconds.items()
        if group in groups
    )


def _cost(bootstrap_servers: str, traffic: Traffic) -> list[Row]:
    """A look at 50 groups of 12 partitions that all lag and stand; and one after all have moved."""
    tps = traffic.topic("cost", PARTITIONS)
    for tp in tps:
        traffic.send(tp, 100)
    _move(traffic, 1)
    return asyncio.run(_looked(bootstrap_servers, traffic))


async def _looked(bootstrap_servers: str, traffic: Traffic) -> list[Row]:
    watcher = Watcher(bootstrap_servers, ["cost-*"])
    try:
        await watcher.look()
        stand = [await _costs(watcher) for _ in range(COST_LOOKS)]
        _move(traffic, 50)
        moved = await _costs(watcher)
    finally:
        await watcher.close()
    name = f"lag/look at {GROUPS} groups of {PARTITIONS}"
    return [
        at_most(f"{name}/time", 1000 * median(one[0] for one in stand), "ms"),
        at_most(f"{name}/CPU", 1000 * median(one[1] for one in stand), "ms"),
        at_most(f"{name}, all moved/time", 1000 * moved[0], "ms"),
        at_most(f"{name}, all moved/CPU", 1000 * moved[1], "ms"),
    ]


async def _costs(watcher: Watcher) -> tuple[float, float]:
    """Seconds of wall clock and of this thread's CPU."""
    began, busy = time.perf_counter(), time.thread_time()
    found = await watcher.look()
    if watcher.error is not None or len(found.partitions) != GROUPS * PARTITIONS:
        raise RuntimeError(f"the look saw {len(found.partitions)} partitions: {watcher.error}")
    return time.perf_counter() - began, time.thread_time() - busy


def _move(traffic: Traffic, offset: int) -> None:
    tps = [tp for tp in traffic.appended if tp.topic == "cost"]
    for number in range(GROUPS):
        traffic.commit(f"cost-{number}", dict.fromkeys(tps, offset + number))
