"""The alerts' bars: rules over production's windows as promtool simulates them, and faults put into running processes."""

import time

from rich.console import Console

from benchmarks.accept.alerts_drill import drain, drill
from benchmarks.accept.alerts_faults import FAULTS, Fault
from benchmarks.accept.alerts_simulated import simulated
from benchmarks.accept.alerts_world import World, world
from benchmarks.report import Row, at_most

TIME_SCALE = 0.05  # of the rules' windows and waits: an hour is three minutes
BACKLOG = 100_000
SETTLING_SECONDS = 180.0


def accept(console: Console) -> list[Row]:
    """Rows alerts/...; about ten minutes."""
    rows: list[Row] = []
    with world(TIME_SCALE) as running:
        running.wait_until_quiet(SETTLING_SECONDS)
        for fault in FAULTS:
            console.print(f"putting in: {fault.name} ...")
            rows += _drilled(console, running, fault)
        console.print(f"a backlog of {BACKLOG:,} ...")
        rows += _drained(console, running)
    console.print("simulating production's windows ...")
    return [*rows, *simulated()]


def _drilled(console: Console, running: World, fault: Fault) -> list[Row]:
    """How long until the alert fired, held against its rule's time; and what else paged. A drill that fails is a row, too."""
    stem = f"alerts/{fault.name}"
    began = time.monotonic()
    try:
        found = drill(running, fault, TIME_SCALE)
    except AssertionError as error:
        console.print(f"{fault.name}: {error}")
        return [at_most(f"{stem}/{fault.alert} ({fault.severity})", time.monotonic() - began, "s", 0)]
    right = found.alert.labels["severity"] == fault.severity and found.alert.labels["team"] == "drills"
    console.print(f"{fault.name}: {fault.alert} after {found.seconds:.1f} s; beside it {found.beside}, told {found.told}")
    return [
        at_most(f"{stem}/{fault.alert} ({fault.severity}) fires after", found.seconds, "s", fault.within(TIME_SCALE)),
        at_most(f"{stem}/of another severity or team", int(not right), "alerts", 0),
        at_most(f"{stem}/other pages as it fires", len(found.beside), "pages", 0),
        at_most(f"{stem}/other pages told until all is quiet", len(found.told), "pages", 0),
    ]


def _drained(console: Console, running: World) -> list[Row]:
    try:
        worst, told = drain(running, BACKLOG)
    except AssertionError as error:
        console.print(str(error))
        return [at_most("alerts/backlog of 100,000 draining/pages", 1, "pages", 0)]
    console.print(f"backlog: {worst:.1f} s of lag at most, told {told}")
    return [
        Row("alerts/backlog of 100,000 draining/lag at most", round(worst, 1), "s"),
        at_most("alerts/backlog of 100,000 draining/pages", len(told), "pages", 0),
    ]
