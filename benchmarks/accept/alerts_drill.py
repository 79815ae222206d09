"""One drill: a fault is put in, its alert awaited, the fault taken out, and the quiet afterwards awaited."""

import time
from dataclasses import dataclass

from benchmarks.accept.alerts_faults import Fault
from benchmarks.accept.alerts_world import PAGING, World
from streams.alertmanager import ActiveAlert

PATIENCE = 3  # waits for an alert so many times longer than it may take, to say how late it was
SETTLING_SECONDS = 120.0
LAG_MOST_RECORDS = 300  # of a stream that keeps up: three seconds


@dataclass(frozen=True, slots=True)
class Drilled:
    """What came of a fault.

    ``seconds`` from the fault to the alert's firing; ``beside``: pages of other families that nothing muted as it fired;
    ``told``: pages of other families that somebody was told of until all was quiet again.
    """

    fault: Fault
    alert: ActiveAlert
    seconds: float
    beside: list[str]
    told: list[str]


def drill(world: World, fault: Fault, time_scale: float) -> Drilled:
    """AssertionError where the alert does not fire in three times its time, or what pages does not end with the fault."""
    world.wait_until_quiet(SETTLING_SECONDS)
    began = time.time()
    with fault.inject(world):
        alert = world.wait_for(fault.alert, PATIENCE * fault.within(time_scale), since=began)
        family = alert.labels["family"]
        beside = [one.name for one in world.pages() if one.labels["family"] != family]
    world.wait_until_quiet(SETTLING_SECONDS)
    return Drilled(fault, alert, alert.starts_at.timestamp() - began, beside, _told(world, began, family))


def drain(world: World, orders: int) -> tuple[float, list[str]]:
    """A backlog of so many orders at once, until it is drained and forgotten: the greatest lag, and the pages told."""
    world.wait_until_quiet(SETTLING_SECONDS)
    began, worst = time.time(), 0.0
    world.traffic.burst(orders)
    world.wait(lambda: world.value("tidegate:lag_records:sum") > LAG_MOST_RECORDS, SETTLING_SECONDS, "the backlog to be seen")
    while world.value("tidegate:lag_records:sum") > LAG_MOST_RECORDS:
        worst = max(worst, world.value("tidegate:lag_seconds:max"))
        if time.time() - began > SETTLING_SECONDS:
            raise AssertionError(f"{orders} orders were not drained in {SETTLING_SECONDS:.0f} s; {world.told()}")
    world.wait(lambda: world.value("tidegate:latency_slow:ratio_5m") == 0, SETTLING_SECONDS, "the slow events to be forgotten")
    return worst, _told(world, began, "")


def _told(world: World, since: float, family: str) -> list[str]:
    """The pages of other families that were delivered as firing."""
    return [
        one.labels["alertname"]
        for one in world.sink.told
        if one.at > since and one.status == "firing" and one.labels["severity"] in PAGING and one.labels["family"] != family
    ]
