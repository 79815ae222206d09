"""Faults of worker processes: killed, ended, frozen, joining and leaving, raising, slow, restarted one after another."""

import time
from collections.abc import Iterator

from tests.faults.registry import GUARANTEE_SECONDS, TARGET_SECONDS, Run, fault
from tests.faults.worker import POINTS
from tests.faults.workers import Worker
from tests.faults.world import SESSION_SECONDS, World, wait_until

VERIFIED_EVERY = 20
RECOVERY_SECONDS = 60.0  # beyond it, a partition counts as stuck for good
LOAD_SECONDS = 0.3, 1.5  # between two injections
POINT_SECONDS = 60.0  # within which a worker with partitions passes a named point
KILL_GRACE_SECONDS = 10.0  # Docker's, between SIGTERM and SIGKILL
SLOW_SECONDS = 30.0


def injections(run: Run, world: World) -> Iterator[int]:
    """The numbers of the injections, each after a moment of load; each is judged when the next one is asked for."""
    for number in run.each():
        time.sleep(run.dice.uniform(*LOAD_SECONDS))
        yield number
        run.judge(world.audit())
        if (number + 1) % VERIFIED_EVERY == 0 or number + 1 == run.runs:
            settle(run, world)


def settle(run: Run, world: World) -> None:
    """Everything sent is let through and judged; then the load goes on."""
    run.progress("verifying")
    world.drain()
    run.judge(world.verify())
    world.load()


def victim(run: Run, world: World) -> Worker:
    """One of the workers that have partitions of the scored topic."""
    wait_until(lambda: any(_busy(worker) for worker in world.workers), POINT_SECONDS, "a worker with partitions")
    return run.dice.choice([worker for worker in world.workers if _busy(worker)])


def _busy(worker: Worker) -> bool:
    return worker.ready and "scored" in worker.partitions


def within(run: Run, seconds: float) -> None:
    """A recovery after a member of the group was lost, came or went, held against what is promised."""
    run.recovered(seconds)
    if seconds > GUARANTEE_SECONDS:
        run.violation(f"back after {seconds:.1f} s, not within the session timeout + 10 s")
    shares = {"share_within_9_s": TARGET_SECONDS, "share_within_16_s": GUARANTEE_SECONDS}
    for name, bound in shares.items():
        run.note(name, sum(one <= bound for one in run.recoveries) / len(run.recoveries))


@fault("kill", 100, "a worker killed (SIGKILL) at a random instant, and at each named point of a chunk's path in turn", short=6)
def kill(run: Run) -> None:
    """Every other time a replacement starts at once, as a container's restart policy has it; else when the others are back."""
    ways = (None, *POINTS)
    with run.world(workers=3) as world:
        for number in injections(run, world):
            way = ways[number % len(ways)]
            die_at(run, victim(run, world), way)
            come_back(run, world, at_once=run.dice.random() < 0.5)
            run.note_more("at_a_random_instant" if way is None else way, 1)


def come_back(run: Run, world: World, at_once: bool) -> None:
    """From the moment of the last death; replacements start at once, or when those left have recovered."""
    mark = world.mark()
    if at_once:
        world.replace()
    within(run, world.wait_recovered(mark, RECOVERY_SECONDS))
    run.judge(world.audit())
    world.heal()


def die_at(run: Run, worker: Worker, point: str | None) -> None:
    if point is None:
        worker.kill()
        return
    worker.arm(f"{point}:{run.dice.randint(1, 20) if point != 'after_commit' else 1}")
    worker.wait(POINT_SECONDS)


@fault("sigterm", 20, "a worker told to end (SIGTERM) in the middle of a chunk: exit code 0, nothing lost")
def sigterm(run: Run) -> None:
    durations = []
    with run.world(workers=2) as world:
        for _ in injections(run, world):
            worker = victim(run, world)
            worker.arm(f"{run.dice.choice(('wait', 'block'))}:{run.dice.uniform(0.3, 2.0):.1f}")
            wait_until(lambda worker=worker: worker.slowed, POINT_SECONDS, "a worker in mid-chunk")
            mark = world.mark()
            worker.terminate()
            code, took = worker.wait(), time.time() - mark.at
            durations.append(took)
            if code != 0 or took > KILL_GRACE_SECONDS:
                run.violation(f"{worker.name} ended with exit code {code} after {took:.1f} s")
            within(run, world.wait_recovered(mark, RECOVERY_SECONDS))
            world.heal()
    run.note("longest_shutdown_seconds", max(durations))


@fault("sigstop", 10, "a worker frozen (SIGSTOP) for longer than the session timeout, then let go on: a zombie")
def sigstop(run: Run) -> None:
    with run.world(workers=2) as world:
        for _ in injections(run, world):
            worker = victim(run, world)
            mark = world.mark()
            worker.pause()
            within(run, world.wait_recovered(mark, RECOVERY_SECONDS))
            time.sleep(max(0.0, mark.at + SESSION_SECONDS + run.dice.uniform(1.5, 4.0) - time.time()))
            before = worker.assignments
            worker.resume()
            wait_until(
                lambda w=worker, n=before: not w.alive or w.assignments > n, RECOVERY_SECONDS, "the zombie rejoins or ends"
            )
            run.judge(world.audit())
            world.wait_ready()
            world.wait_recovered(world.mark(), RECOVERY_SECONDS)
    run.note("zombies_that_ended", world.restarts)


@fault("rebalance", 50, "workers joining and leaving, 1 to 4 and back; recovery is the longest pause of a partition", short=2)
def rebalance(run: Run) -> None:
    with run.world(workers=1) as world:
        for number in injections(run, world):
            began = time.time()
            if number % 6 < 3:
                world.start_worker()
            else:
                leaving = run.dice.choice(world.workers)
                leaving.terminate()
                leaving.wait()
                world.workers.remove(leaving)
            world.wait_ready()
            world.wait_recovered(world.mark(), RECOVERY_SECONDS)
            within(run, max(world.outputs.pauses(began, time.time()).values()))


@fault("raise", 5, "the handler of a chunk raises: the worker ends with exit code 1 and is started again")
def raises(run: Run) -> None:
    with run.world(workers=2) as world:
        for _ in injections(run, world):
            before = world.restarts
            victim(run, world).arm("raise")
            wait_until(lambda n=before: world.restarts > n, POINT_SECONDS, "a worker that ends by itself")
            mark = world.mark()
            if "exit 1" not in world.supervisor.exits[-1]:
                run.violation(f"not exit code 1: {world.supervisor.exits[-1]}")
            within(run, world.wait_recovered(mark, RECOVERY_SECONDS))
            world.wait_ready()


@fault("model", 10, "the model raises, or returns NaN, for a tenth of the rows: these become dead letters, the rest is predicted")
def model(run: Run) -> None:
    with run.world(workers=2) as world:
        ended = len(world.supervisor.exits)
        for number in injections(run, world):
            began, before = time.time(), scoring_letters(world)
            for worker in world.workers:
                worker.arm(f"{('nan', 'model_raises')[number % 2]}:0.1")
            wait_until(lambda n=before: scoring_letters(world) > n + 20, POINT_SECONDS, "dead letters of the model's failures")
            for worker in world.workers:
                worker.arm("off")
            world.wait_recovered(world.mark(), RECOVERY_SECONDS)
            run.recovered(max(world.outputs.pauses(began, time.time()).values()))
        run.note("dead_letters", scoring_letters(world))
        for words in world.supervisor.exits[ended:]:
            run.violation(f"a worker ended: {words}")


def scoring_letters(world: World) -> int:
    return sum("scoring" in reasons for reasons in list(world.outputs.letters.values()))


@fault("slow_chunk", 4, "a chunk that takes 30 s, blocking the process or awaiting", short=0)
def slow_chunk(run: Run) -> None:
    with run.world(workers=2) as world:
        for number in injections(run, world):
            worker = victim(run, world)
            before = worker.slowed
            worker.arm(f"{('block', 'wait')[number % 2]}:{SLOW_SECONDS:.0f}")
            wait_until(lambda w=worker, n=before: w.slowed > n, POINT_SECONDS, "a chunk that is slow")
            mark = world.mark()
            run.recovered(world.wait_recovered(mark, SLOW_SECONDS + RECOVERY_SECONDS))
            world.wait_ready()
            world.drain(SLOW_SECONDS + RECOVERY_SECONDS)
            world.load()


def roll(run: Run, world: World, **environment: str) -> None:
    """Ends and replaces every worker, one after another."""
    for number, worker in enumerate(list(world.workers)):
        world.restart(worker, **{key: f"{value}-{number}" for key, value in environment.items()})
        if worker.exit_code != 0:
            run.violation(f"{worker.name} ended with exit code {worker.exit_code}")


@fault("rolling_restart", 5, "every worker ended and replaced in turn; recovery is the longest pause of a partition")
def rolling_restart(run: Run) -> None:
    with run.world(workers=3) as world:
        for _ in injections(run, world):
            began = time.time()
            roll(run, world)
            within(run, max(world.outputs.pauses(began, time.time()).values()))


@fault(
    "rolling_static",
    5,
    "the same with static membership: a worker that comes back in time gets its partitions without a rebalance",
)
def rolling_static(run: Run) -> None:
    with run.world(workers=3, started=False) as world:
        for number in range(3):
            world.start_worker(TIDEGATE_FAULTS_INSTANCE=f"static-{number}")
        world.wait_ready()
        world.load()
        world.wait_recovered(world.mark(), RECOVERY_SECONDS)
        for _ in injections(run, world):
            began = time.time()
            roll(run, world, TIDEGATE_FAULTS_INSTANCE="static")
            run.recovered(max(world.outputs.pauses(began, time.time()).values()))
