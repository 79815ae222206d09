"""The common course of faults in a server: under load, a fault at a random instant, recovery, questions; again and again."""

import time
from collections.abc import Callable
from typing import Any

from tests.faults.registry import Run
from tests.faults.world import Mark, World

RECOVERY_SECONDS = 90.0  # beyond it, a partition counts as stuck for good
VERIFIED_EVERY = 5
LOAD_SECONDS = 0.5, 2.5  # between two injections
SAW_FUTURE = "vectors that saw their own event"

Inject = Callable[[World], Mark]


def campaign(run: Run, inject: Inject, *, data_lost: bool = False, fresh_every: int | None = None, **options: Any) -> None:
    """`inject` puts the fault in and takes it out again; it returns the mark of the moment at which it was out.

    With ``fresh_every`` a world serves so many injections only: where recovery reads all of Kafka, the log must stay short.
    With ``data_lost`` Redis forgets acknowledged merges: fences then lie behind until recovery has passed, and predictions may
    have been made of what was lost. What is promised of those is counted, not judged (docs/guarantees.md).
    """
    every = fresh_every or run.runs
    for first in range(0, run.runs, every):
        with run.world(**options) as world:
            for number in run.each(range(first, min(first + every, run.runs))):
                time.sleep(run.dice.uniform(*LOAD_SECONDS))
                mark = inject(world)
                run.recovered(world.wait_recovered(mark, RECOVERY_SECONDS))
                run.judge(world.audit(fences=not data_lost))
                if (number + 1) % VERIFIED_EVERY == 0 or number + 1 == run.runs:
                    settle(run, world, data_lost)
            run.note_more("worker_restarts", world.restarts)


def settle(run: Run, world: World, data_lost: bool = False) -> None:
    """Everything sent is let through and judged; then the load goes on."""
    run.progress("verifying")
    world.drain()
    found = world.verify(exact=not data_lost)
    if data_lost:
        run.note_more("saw_own_future", sum(text.startswith(SAW_FUTURE) for text in found))
        found = [text for text in found if not text.startswith(SAW_FUTURE)]
    run.judge(found)
    world.load()
