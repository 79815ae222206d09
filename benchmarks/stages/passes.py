"""Three passes over a chunk's path, each for what it measures without disturbing the others' figures."""

import asyncio
import gc
import resource
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter, thread_time

import featurestore.session
from benchmarks.stages.alone import CHUNK_EVENTS, chunks, flow
from benchmarks.stages.clock import StageClock
from benchmarks.workload import Workload
from featurestore.redis_store import RedisStore
from featurestore.session import Joint
from monitors.metrics import WorkerMetrics
from streams.chunk import Chunk
from streams.codec import Decoder
from streams.flow import Flow
from streams.outputs import Outputs
from streams.scoring import Judge
from streams.tuning import tune_process

# In the order of a chunk's way. What contains another is charged with the rest alone.
STEPS = (
    (Decoder, "__call__", "decode"),
    (featurestore.session, "group_chunk", "intern, and columns"),
    (RedisStore, "read", "read: keys and states"),
    (RedisStore, "_execute", "Redis client, reading and merging"),
    (featurestore.session, "serve", "kernel"),
    (Judge, "__call__", "score"),
    (Outputs, "predictions", "encode predictions"),
    (Outputs, "served", "encode vectors"),
    (Joint, "_merge", "merge: deltas"),
    (RedisStore, "merge", "merge: commands"),
    (Flow, "_published", "metrics"),
    (WorkerMetrics, "served", "metrics"),
    (Flow, "__call__", "flow, and what is left"),
)
STAGES = tuple(dict.fromkeys(stage for *_, stage in STEPS))
WARM_CHUNKS, CHUNKS, TRACED_CHUNKS = 15, 60, 5
TICK_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Pass:
    """Microseconds of CPU an event by stage, and page faults an event, from the first pass; stalls of the event loop in
    milliseconds, from the second; megabytes that a chunk holds at its most, from the third."""

    stages: dict[str, float]
    page_faults: float
    stall_p99: float
    stall_max: float
    chunk_mib: float


async def measured(workload: Workload) -> Pass:
    tune_process()
    async with flow(workload) as made:
        coming = chunks(WARM_CHUNKS + 2 * CHUNKS + TRACED_CHUNKS)
        for _ in range(WARM_CHUNKS):
            await made(next(coming))
        stages, faults = await _timed(made, [next(coming) for _ in range(CHUNKS)])
        stalls = await _stalls(made, [next(coming) for _ in range(CHUNKS)])
        held = await _held(made, [next(coming) for _ in range(TRACED_CHUNKS)])
    return Pass(stages, faults, stalls[int(0.99 * len(stalls))], stalls[-1], held)


@contextmanager
def _all_timed(clock: StageClock) -> Iterator[None]:
    with ExitStack() as undo:
        for owner, name, stage in STEPS:
            undo.enter_context(clock.timing(owner, name, stage))
        yield


async def _timed(made: Flow, todo: Sequence[Chunk]) -> tuple[dict[str, float], float]:
    clock, events = StageClock(), len(todo) * CHUNK_EVENTS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    began = thread_time()
    with _all_timed(clock):
        for chunk in todo:
            await made(chunk)
    all_of_it = thread_time() - began
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    if sum(clock.seconds.values()) < 0.9 * all_of_it:
        raise RuntimeError("a tenth of the time lies outside of the stages: one has another name by now")
    return {stage: clock.seconds[stage] / events * 1e6 for stage in STAGES}, faults / events


async def _stalls(made: Flow, todo: Sequence[Chunk]) -> list[float]:
    """By how many milliseconds a timer was late, each time, sorted: so long all else on the loop would have waited."""
    late: list[float] = []

    async def tick() -> None:
        while True:
            due = perf_counter() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            late.append((perf_counter() - due) * 1000)

    ticking = asyncio.create_task(tick())
    for chunk in todo:
        await made(chunk)
    ticking.cancel()
    return sorted(late)


async def _held(made: Flow, todo: Sequence[Chunk]) -> float:
    """The most memory that a chunk holds at once, beyond what was held before it."""
    gc.collect()
    tracemalloc.start()
    most = 0
    for chunk in todo:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        await made(chunk)
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    return most / 2**20
