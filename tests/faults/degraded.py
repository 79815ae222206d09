"""Redis away from pipelines that go on without it: predictions go on, and every event still counts once."""

import time

from tests.faults.campaign import LOAD_SECONDS, RECOVERY_SECONDS, VERIFIED_EVERY
from tests.faults.redises import server
from tests.faults.registry import Run, fault
from tests.faults.world import wait_until

AFTER_SECONDS = 1.0
STOP_SECONDS = 15.0  # a drain of 5 s and a close of 4, on a busy machine
AWAY_SECONDS = 1.0, 4.0  # beyond the first prediction without features


@fault("redis_degraded", runs=20, summary="Redis paused, the pipeline degrades; meanwhile a worker stops, or is killed, or none")
def degraded(run: Run) -> None:
    """`recovered` is the time from the pause to predictions of newer events in every partition, Redis still being away."""
    options = {"on_store_unavailable": "degrade", "degrade_after_seconds": AFTER_SECONDS}
    with run.world(**options) as world:
        for number in run.each():
            time.sleep(run.dice.uniform(*LOAD_SECONDS))
            victim = run.dice.choice(world.workers)
            server(world).pause()
            try:
                run.recovered(world.wait_recovered(world.mark(), RECOVERY_SECONDS))
                if number % 3 == 1:
                    victim.terminate()  # its partitions are assigned while Redis is away
                    world.wait_recovered(world.mark(), RECOVERY_SECONDS)
                    wait_until(lambda victim=victim: not victim.alive, STOP_SECONDS, f"the end of {victim.name}")
                elif number % 3 == 2:
                    victim.kill()
                time.sleep(run.dice.uniform(*AWAY_SECONDS))
            finally:
                server(world).resume()
            world.heal()
            world.wait_recovered(world.mark(), RECOVERY_SECONDS)
            run.judge(world.audit())
            if (number + 1) % VERIFIED_EVERY == 0 or number + 1 == run.runs:
                world.drain()
                run.judge(world.verify())  # but for vectors flagged degraded, none has missed an event
                world.load()
        run.note_more("worker_restarts", world.restarts)
