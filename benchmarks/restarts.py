"""A rolling restart under load: for how long is a partition without predictions?

In a world of `make faults`, with its load, its measure and its oracle; nothing may be lost meanwhile.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from streams.worker import WorkerOptions
from tests.faults.model import train_champion
from tests.faults.workers import Worker
from tests.faults.world import World

WORKERS, PARTITIONS = 2, 4
RATE = 1_000.0  # events a second over both topics
CALM_SECONDS = 2.0  # between two restarts
KEPT_UP = 0.95  # the least of the load that must have been sent
# What `tidegate worker` has unless told otherwise; worlds have less of both.
DEFAULTS = {
    "max_chunk_events": WorkerOptions().max_chunk_events,
    "session_timeout_seconds": WorkerOptions().session_timeout_seconds,
}


def pauses(rolls: int, show: Callable[[int, int], None]) -> list[float]:
    """Each restart's longest time in seconds that a partition was without a prediction; every worker is restarted in each roll.

    RuntimeError where the load was not kept up, or a promise was broken.
    """
    found: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        folder = Path(name)
        champion = train_champion(folder / "model")
        with World(champion, folder / "world", workers=WORKERS, partitions=PARTITIONS, rate=RATE, worker=DEFAULTS) as world:
            load, began = world.load(), time.monotonic()
            sent = load.sent
            for _ in range(rolls):
                for worker in list(world.workers):
                    time.sleep(CALM_SECONDS)
                    found.append(_pause(world, worker))
                    show(len(found), rolls * WORKERS)
            share = (load.sent - sent) / ((time.monotonic() - began) * RATE)
            if share < KEPT_UP:
                raise RuntimeError(f"only {share:.0%} of the load was sent")
            world.drain()
            if broken := world.verify():
                raise RuntimeError(f"a rolling restart broke a promise: {broken[0]}")
    return found


def _pause(world: World, worker: Worker) -> float:
    began = time.time()
    world.restart(worker)
    until = time.time()
    world.outputs.catch_up()
    if worker.exit_code != 0:
        raise RuntimeError(f"{worker.name} ended with exit code {worker.exit_code}")
    return max(world.outputs.pauses(began, until).values())
