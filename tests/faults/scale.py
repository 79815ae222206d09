"""Many events, many partitions, one entity in half of all, one partition an hour ahead: exact, in order, in bounded memory."""

import time

import numpy as np
import psutil

from benchmarks.plots import DOCS
from featurestore import offline
from streams.outputs import TopicNames
from streams.vectors import decode_vectors
from tests.faults import bulk, plots
from tests.faults.reading import Topics
from tests.faults.registry import Run, fault
from tests.faults.sampling import Sampler, column
from tests.faults.totals import Totals
from tests.faults.world import World, wait_until

HOUR = 3_600.0
READ_SECONDS, READY_SECONDS = 1_200.0, 180.0
HOT_EVENTS, HOT_SHARE = 60_000, 0.5
MANY, MANY_EVENTS = 100, 30_000  # partitions of each of the two source topics: 200 for a worker
AHEAD_EVENTS, AHEAD_RATE = 40_000, 20.0  # event time: 33 minutes, far more than the shortest window
SHORT_WINDOW, SHORT_SECONDS = "scored_by_card.count.1m", 60.0
LEAD_SECONDS = 10.0  # two tiles of that window: as far as a partition may run ahead, so much the window may lack
UNIT, FULL_EVENTS = 100_000, 10_000_000  # a run of `backlog`, and how many events docs/ shows
BACKLOG_RATE, BACKLOG_PARTITIONS = 1_000.0, 8
MEMORY_GROWTH, MEMORY_MIB = 1.15, 1_024.0  # last half against first quarter; at most


@fault("hot_entity", runs=2, summary="one card makes half of all events, in every partition, against two workers", short=0)
def hot_entity(run: Run) -> None:
    """Exact all the same; the throughput beside that without such a card is noted."""
    for number in run.each():
        for name, share in (("hot", HOT_SHARE), ("even", 0.0)):
            with run.world(started=False) as world:
                run.note(f"events_per_second_{name}", round(_drain_bulk(run, world, run.seed + number, share)))
                run.judge(judged(world))
            run.note_more("events", HOT_EVENTS)  # what the world noted of its own load is none


def _drain_bulk(run: Run, world: World, seed: int, share: float) -> float:
    """Two workers drain a backlog with a load on top; events a second from their being ready to the last commit."""
    bulk.use_producers_time(world.settings.kafka)
    bulk.send(world.settings.kafka, bulk.Bulk(HOT_EVENTS, world.partitions, 100.0, time.time() - HOUR, seed, hot=share))
    for _ in range(2):
        world.start_worker()
    began = time.monotonic()
    wait_until(lambda: drained(world) > 0, 60, "a first commit")
    first, began = drained(world), time.monotonic()
    wait_until(lambda: world.lag() == 0, 180, "every record committed")
    return (HOT_EVENTS - first) / (time.monotonic() - began)


@fault("partition_ahead", runs=2, summary="in a backlog one partition's records are an hour newer than the others'")
def partition_ahead(run: Run) -> None:
    """The oldest records go first, so that the newer partition empties nobody's short windows; it is read all the same."""
    for number in run.each():
        with run.world(workers=1, started=False) as world:
            bulk.use_producers_time(world.settings.kafka)
            start = time.time() - 2 * HOUR
            made = bulk.Bulk(AHEAD_EVENTS, world.partitions, AHEAD_RATE, start, run.seed + number, ahead=((0, HOUR),))
            bulk.send(world.settings.kafka, made)
            world.start_worker()
            world.wait_ready(READY_SECONDS)
            wait_until(lambda: world.lag() == 0, 120, "every record committed")
            run.judge(world.verify())
            run.note("late_share", round(world.outputs.flags["late"] / AHEAD_EVENTS, 5))
            served, expected = _short_windows(world)
            run.note("short_window_mean", round(served, 4))
            run.note("short_window_mean_in_order", round(expected, 4))
            if world.outputs.flags["late"]:
                run.violation(f"{world.outputs.flags['late']} predictions are late: a partition ran ahead of the others")
            if served < (1 - LEAD_SECONDS / SHORT_SECONDS) * expected:
                run.violation(f"the windows of a minute held {served:.3f} events in the mean, {expected:.3f} in order of time")


def _short_windows(world: World) -> tuple[float, float]:
    """The mean count of the shortest window: as served, and as an uninterrupted run in order of event time serves it."""
    place = [one.name for one in world.plan.schema.columns].index(SHORT_WINDOW)
    topics = Topics(world.settings.kafka, [TopicNames.of(world.pipeline.name).features])
    tables = [decode_vectors(message.value()) for batch in topics.read_on() for message in batch]
    topics.close()
    served = np.concatenate([one["vector"].flatten().to_numpy().reshape(len(one), -1)[:, place] for one in tables])
    expected = offline.compute(world.plan, world.sources.batches).served.vectors[:, place]
    return float(served.mean()), float(expected.mean())


@fault("partitions_200", runs=1, summary="200 partitions on one worker, a second one joins and leaves again", short=0)
def partitions_200(run: Run) -> None:
    """Every partition is read, none waits long, commits go on; memory and the time of an assignment are noted."""
    for number in run.each():
        with run.world(workers=1, partitions=MANY, started=False, seed=run.seed + number) as world:
            bulk.send(world.settings.kafka, bulk.Bulk(MANY_EVENTS, MANY, 100.0, time.time() - HOUR, run.seed + number))
            run.progress("reading a backlog")
            began = time.monotonic()
            world.start_worker()
            world.wait_ready(READY_SECONDS)
            run.note("start_seconds", round(time.monotonic() - began, 1))
            wait_until(lambda: world.lag() == 0, 300, "every record committed")
            run.note("backlog_events_per_second", round(MANY_EVENTS / (time.monotonic() - began)))
            _live(run, world)
            _join_and_leave(run, world)
            world.drain(180)
            run.judge(world.verify())


def _live(run: Run, world: World, seconds: float = 30.0, rate: float = 300.0) -> None:
    """A steady load: how long the unluckiest partition waited, how far commits lag, what the worker holds."""
    run.progress(f"{rate:.0f} events/s")
    world.load(rate)
    mark = world.mark()
    world.wait_recovered(mark, 120)
    begin = time.time()
    time.sleep(seconds)
    lag = world.lag()
    run.note("longest_pause_seconds", round(max(world.outputs.pauses(begin, time.time()).values()), 1))
    run.note("lag_under_load", lag)
    process = psutil.Process(world.workers[0].pid)
    run.note("memory_mib", round(process.memory_info().rss / 2**20))
    run.note("cpu_percent", round(process.cpu_percent(5.0)))
    if lag > 10 * rate:
        run.violation(f"commits lag {lag} events behind at {rate:.0f} events/s")


def _join_and_leave(run: Run, world: World) -> None:
    """Half of the partitions move to a second worker and come back."""
    run.progress("another worker joins and leaves")
    mark = world.mark()
    second = world.start_worker()
    world.wait_ready(READY_SECONDS)
    run.note("join_seconds", round(world.wait_recovered(mark, 120), 1))
    mark = world.mark()
    second.terminate()
    second.wait()
    run.recovered(world.wait_recovered(mark, 120))
    world.workers.remove(second)


@fault(
    "backlog",
    runs=FULL_EVENTS // UNIT,
    summary="a backlog of RUNS times 100,000 events, drained in bounded memory",
)
def backlog(run: Run) -> None:
    """Memory is sampled every second and plotted. Runs are units of events here, drained as one backlog."""
    events = run.runs * UNIT
    with run.world(partitions=BACKLOG_PARTITIONS, started=False, worker={"max_chunk_events": 2_000}) as world:
        bulk.use_producers_time(world.settings.kafka)
        run.progress(f"sending {events:,} events")
        start = time.time() - events / BACKLOG_RATE - 60
        bulk.send(world.settings.kafka, bulk.Bulk(events, BACKLOG_PARTITIONS, BACKLOG_RATE, start, run.seed))
        sampler = Sampler(lambda: [worker.pid for worker in world.workers if worker.alive], {})
        progress = _watch(run, world, events, sampler)
        sampler.close()
        _judge_memory(run, world, sampler, progress, events)
        run.progress("comparing with an uninterrupted run")
        run.judge(judged(world))
    run.note("events", events)


def _watch(run: Run, world: World, events: int, sampler: Sampler) -> list[tuple[float, float]]:
    """Starts two workers and waits for the last commit; (seconds, events committed) as it goes."""
    for _ in range(2):
        world.start_worker()
    progress = [(sampler.seconds, 0.0)]
    moved = time.monotonic()
    while progress[-1][1] < events:
        time.sleep(1)
        done = drained(world)
        moved = time.monotonic() if done > progress[-1][1] else moved
        if time.monotonic() - moved > 60:
            raise TimeoutError(f"{done:,} of {events:,} events committed, and no more for a minute")
        progress.append((sampler.seconds, float(done)))
        run.progress(f"{done:,} of {events:,} events committed")
        run.done = int(done) // UNIT
    return progress


def _judge_memory(run: Run, world: World, sampler: Sampler, progress: list[tuple[float, float]], events: int) -> None:
    workers = {world.workers[i].name: sampler.samples[world.workers[i].pid] for i in range(len(world.workers))}
    began = next(at for at, done in progress if done)
    for name, samples in workers.items():
        memory = column([one for one in samples if began <= one.at <= progress[-1][0]], "rss_mib")
        early, late = memory[: len(memory) // 4].max(), memory[len(memory) // 2 :].max()
        run.note(f"memory_mib_{name}", {"first_quarter": round(early), "last_half": round(late)})
        if late > MEMORY_GROWTH * early or late > MEMORY_MIB:
            run.violation(f"{name}: {late:.0f} MiB in the last half, {early:.0f} MiB in the first quarter")
    steady = [(at, done) for at, done in progress if 0.1 * events <= done <= 0.95 * events]
    rate = (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0]) if len(steady) > 2 else float("nan")
    run.note("events_per_second", round(rate) if rate == rate else None)
    folder = DOCS if events >= FULL_EVENTS else run.folder
    title = f"{events:,} events, two workers, {rate:,.0f} events/s"
    plots.backlog(folder / "backlog.png", workers, progress, title)


def drained(world: World) -> int:
    """Events of all source partitions that are committed."""
    return sum(world.committed().values())


def judged(world: World) -> list[str]:
    """The oracle for many events; see Totals."""
    totals = Totals(world.plan, world.pipeline.future_skew_seconds)
    totals.read(world.settings.kafka)
    world.outputs.catch_up(READ_SECONDS)
    return totals.verify(world.states(), world.outputs)
