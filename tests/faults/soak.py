"""Half an hour of load with a random fault every twenty seconds: exact at the end, and nothing has leaked.

A run is a fault: `make faults ONLY=soak RUNS=6` lasts two minutes. One worker, the veteran, is frozen and rebalanced and loses
its servers like the others, but is never killed or ended: what leaks in half an hour shows in it.
"""

import time
from collections.abc import Callable

import numpy as np
import redis

from benchmarks.plots import DOCS
from tests.faults import plots
from tests.faults.processes import RECOVERY_SECONDS
from tests.faults.redises import server
from tests.faults.registry import Run, fault
from tests.faults.sampling import EVERY_SECONDS as EVERY
from tests.faults.sampling import Sample, Sampler, column, counting, growth
from tests.faults.scale import READY_SECONDS, judged
from tests.faults.workers import Worker
from tests.faults.world import World

RATE, EVERY_SECONDS, FULL = 3_000.0, 20.0, 90
PAUSE_SECONDS, FREEZE_SECONDS, GUEST_SECONDS = 5.0, 10.0, 3.0
DRAIN_SECONDS = 300.0
MEMORY_SHARE = 0.05  # how much more a veteran may hold at the end, of what it held, on the fitted line
FIT_SECONDS = 600.0  # in a shorter run, the line shows how a worker warms up
COUNTED = ("files", "threads", "tasks", "broker", "redis")
MORE = 2  # of each of these a veteran may hold at the end than before the first fault: pools fill up to the busiest moment
QUIET_SAMPLES = 5


def kill(run: Run, world: World) -> None:
    _other(world).kill()


def sigterm(run: Run, world: World) -> None:
    leaving = _other(world)
    leaving.terminate()
    leaving.wait()


def sigstop(run: Run, world: World) -> None:
    frozen = run.dice.choice(world.workers)
    frozen.pause()
    time.sleep(FREEZE_SECONDS)
    frozen.resume()


def guest(run: Run, world: World) -> None:
    """A worker joins and leaves again."""
    joined = world.start_worker()
    world.wait_ready(READY_SECONDS)
    time.sleep(GUEST_SECONDS)
    joined.terminate()
    joined.wait()


def redis_paused(run: Run, world: World) -> None:
    server(world).pause()
    time.sleep(PAUSE_SECONDS)
    server(world).resume()


def redis_restart(run: Run, world: World) -> None:
    server(world).kill()
    server(world).start()


def redis_scripts(run: Run, world: World) -> None:
    with redis.Redis.from_url(world.settings.redis) as client:
        client.script_flush()


def broker_restart(run: Run, world: World) -> None:
    assert world.stack.kafka is not None
    world.stack.kafka.restart()


def broker_paused(run: Run, world: World) -> None:
    assert world.stack.kafka is not None
    world.stack.kafka.pause()
    time.sleep(PAUSE_SECONDS)
    world.stack.kafka.resume()


INJECTIONS: tuple[Callable[[Run, World], None], ...] = (
    kill, sigterm, sigstop, guest, redis_paused, redis_restart, redis_scripts, broker_restart, broker_paused
)  # fmt: skip


def _other(world: World) -> Worker:
    """Not the veteran, which is the first."""
    return world.workers[1]


@fault(
    "soak", FULL, summary="3,000 events/s, a random fault every 20 s (RUNS of them: 90 are half an hour); nothing leaks", short=0
)
def soak(run: Run) -> None:
    counts = run.folder / "tasks"
    options = {"rate": RATE, "appendonly": True, "environment": counting(counts), "worker": {"max_chunk_events": 2_000}}
    with run.world(**options) as world:
        assert world.stack.kafka is not None
        ports = {"broker": world.stack.kafka.port, "redis": server(world).port}
        veteran, known = world.workers[0], {worker.pid: worker for worker in world.workers}

        def pids() -> list[int]:
            known.update({worker.pid: worker for worker in list(world.workers)})
            return [worker.pid for worker in list(world.workers) if worker.alive]

        sampler = Sampler(pids, ports, counts, lambda: _clients(world))
        try:
            time.sleep(EVERY_SECONDS)
            faults = _inject_all(run, world, veteran, sampler)
            run.progress("draining")
            world.drain(DRAIN_SECONDS)
            time.sleep(QUIET_SAMPLES + 2)
        finally:
            sampler.close()
        run.note("worker_restarts", world.restarts)
        _judge_leaks(run, veteran, sampler, faults)
        _plot(run, veteran, sampler, faults)
        run.progress("comparing with an uninterrupted run")
        run.judge(judged(world))
        sent = sum(world.sources.ends().values())
    run.note("events", sent)


def _inject_all(run: Run, world: World, veteran: Worker, sampler: Sampler) -> list[tuple[float, str]]:
    """One fault after another, each at its time or as soon as the one before has passed; (second, name) of each."""
    faults: list[tuple[float, str]] = []
    due = time.monotonic()
    for number in run.each():
        chosen = run.dice.choice(INJECTIONS)
        run.progress(f"{number + 1} of {run.runs}: {chosen.__name__}")
        faults.append((sampler.seconds, chosen.__name__))
        chosen(run, world)
        mark = world.mark()
        run.recovered(world.wait_recovered(mark, RECOVERY_SECONDS))
        world.heal(READY_SECONDS)
        run.note_more(chosen.__name__, 1)
        if world.workers[0] is not veteran:
            raise RuntimeError(f"the veteran ended by itself after {chosen.__name__}: {world.supervisor.exits[-1:]}")
        due += EVERY_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
    return faults


def _clients(world: World) -> float | None:
    try:
        with redis.Redis.from_url(world.settings.redis, socket_timeout=0.5, socket_connect_timeout=0.5) as client:
            return float(client.info("clients")["connected_clients"])
    except redis.RedisError:
        return None


def _judge_leaks(run: Run, veteran: Worker, sampler: Sampler, faults: list[tuple[float, str]]) -> None:
    samples = sampler.samples[veteran.pid]
    before = [one for one in samples if one.at < faults[0][0]]
    held = float(np.median(column(samples, "rss_mib")))
    grown = growth(samples, "rss_mib")
    run.note("veteran_memory_mib", round(held))
    run.note("veteran_memory_growth_mib", round(grown, 1))
    if len(samples) * EVERY >= FIT_SECONDS and grown > MEMORY_SHARE * held:
        run.violation(f"the veteran's memory grew by {grown:.0f} MiB, it held {held:.0f}")
    for name in COUNTED:
        first, last = _level(before, name), _level(samples[-QUIET_SAMPLES:], name)
        run.note(f"veteran_{name}", {"before": first, "at_the_end": last})
        if last > first + MORE:
            run.violation(f"the veteran holds {last:.0f} {name}, it held {first:.0f} before the first fault")
    _judge_clients(run, sampler)


def _judge_clients(run: Run, sampler: Sampler) -> None:
    """At rest Redis knows no connection but those that workers hold, and the sampler's own."""
    end = max(samples[-1].at for samples in sampler.samples.values())
    held = sum(_level(samples, "redis") for samples in sampler.samples.values() if samples[-1].at > end - QUIET_SAMPLES)
    known = float(np.median([count for _, count in sampler.probed[-QUIET_SAMPLES:]]))
    run.note("redis_clients", {"at_the_end": known, "held_by_workers": held})
    if held == 0 or known > held + 1:
        run.violation(f"Redis has {known:.0f} clients, but workers hold {held:.0f} connections")


def _level(samples: list[Sample], name: str) -> float:
    """The usual value at rest: the median of the last samples."""
    return float(np.nanmedian(column(samples[-QUIET_SAMPLES:], name)))


def _plot(run: Run, veteran: Worker, sampler: Sampler, faults: list[tuple[float, str]]) -> None:
    workers = [(pid == veteran.pid, samples) for pid, samples in sampler.samples.items()]
    folder = DOCS if run.runs >= FULL else run.folder
    title = f"{RATE:,.0f} events/s, {len(faults)} faults; blue: the worker that lives throughout"
    plots.soak(folder / "soak.png", workers, sampler.probed, faults, title)
