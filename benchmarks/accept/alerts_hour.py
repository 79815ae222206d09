"""An ordinary hour, for real: steady traffic, a deployment, a rolling restart of the workers; nobody may be paged.

The rules' windows are shortened to a third, and so is the hour: the same number of windows passes in 20 minutes.
"""

import time
from collections.abc import Callable

from rich.console import Console

from benchmarks.accept.alerts_world import World, world
from benchmarks.report import Row, at_most

TIME_SCALE = 1 / 3
MINUTES = 60 * TIME_SCALE
LOOK_SECONDS = 1.0
QUIET_SECONDS = 150.0  # longer than the 5m window, shortened


def accept(console: Console) -> list[Row]:
    """Rows alerts_hour/...; half an hour.

    It begins when nothing has paged for a while: the drill's feed may be 5 s old, less than a start takes.
    """
    seen: dict[str, str] = {}
    with world(TIME_SCALE) as running:
        _settle(running)
        console.print(f"nothing has paged for {QUIET_SECONDS:.0f} s; now {MINUTES:.0f} minutes")
        began = time.monotonic()
        done = iter(_events(running))
        due, act, said = next(done)
        while (minute := (time.monotonic() - began) / 60) < MINUTES:
            if minute >= due:
                console.print(f"minute {minute:.1f}: {said}")
                act()
                due, act, said = next(done, (MINUTES * 2, act, ""))
            for alert in running.pages():
                if alert.name not in seen:
                    seen[alert.name] = f"{minute:.1f}"
                    console.print(f"minute {minute:.1f}: paged by {alert.name} ({alert.labels['severity']})")
            time.sleep(LOOK_SECONDS)
        rate = running.traffic.orders
    return [
        at_most("alerts_hour/an hour of ordinary traffic, a deployment, a rolling restart/pages", len(seen), "pages", 0),
        Row("alerts_hour/events to be scored", rate, "events/s"),
        Row("alerts_hour/time scale of the rules", TIME_SCALE, "x"),
    ]


def _settle(running: World) -> None:
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        if running.pages():
            quiet_since = time.monotonic()
        time.sleep(LOOK_SECONDS)


def _events(running: World) -> list[tuple[float, Callable[[], None], str]]:
    """What happens, at which minute: one restart after the other, each when the worker before is ready again."""
    first, second = running.workers
    return [
        (MINUTES * 0.5, lambda: running.versions.deploy(2), "version 2 is deployed"),
        (MINUTES * 0.5 + 0.02, lambda: _restart(running, 0), f"{first.title} restarts"),
        (MINUTES * 0.5 + 0.04, lambda: _restart(running, 1), f"{second.title} restarts"),
    ]


def _restart(running: World, number: int) -> None:
    worker = running.workers[number]
    worker.stop()
    worker.start()
    running.wait_until_ready(worker)
