"""One contender drains the filled topic: what it does a second, and what that costs.

Measured is the steady part: from the moment a tenth of the predictions are on the broker until 95 % are. Start-up, the first
chunks on cold caches and the last partition's tail are left out. Where several processes share the topic, it begins when each has
partitions, too, and ends when the first partition is at 95 % of its own.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from benchmarks.contenders import Contender, Running
from benchmarks.workload import PARTITIONS, Workload
from examples.payments.pipeline import pipeline
from streams.outputs import TopicNames

SAMPLE_SECONDS = 0.1
STEADY_FROM, STEADY_TO = 0.10, 0.95
STALL_SECONDS = 60.0
Show = Callable[[int, int], None]  # predictions so far, and in all
During = Callable[[int], None]  # the pid
Begin = Callable[[Running], None]
PREDICTIONS = TopicNames.of(pipeline.name).predictions


@dataclass(frozen=True, slots=True)
class Sample:
    """Where things stood at one moment; CPU in seconds since each process began, that of all the contender's processes together.

    ``each``: predictions by partition. ``assigned``: whether every process had partitions.
    """

    at: float
    each: tuple[int, ...]
    worker_cpu: float
    redis_cpu: float
    assigned: bool = True

    @property
    def published(self) -> int:
        return sum(self.each)


@dataclass(frozen=True, slots=True)
class Drain:
    """What one contender did in one round."""

    events_per_second: float
    worker_cpu_us: float
    redis_cpu_us: float
    chunk_p50: float
    chunk_p99: float
    start_seconds: float  # from the process's start to its first prediction
    memory_mib: float
    chunk_mean: float = math.nan  # where the contender has metrics


class Ends:
    """The end of a topic, as the broker says."""

    def __init__(self, bootstrap_servers: str, topic: str = PREDICTIONS, partitions: int = PARTITIONS) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "benchmark"})
        self._partitions = [TopicPartition(topic, partition, OFFSET_END) for partition in range(partitions)]

    def each(self) -> list[int]:
        """Of all partitions in one request: 200 of them take 5 ms so, and 300 ms one by one."""
        return [one.offset for one in self._consumer.offsets_for_times(self._partitions, timeout=10.0)]

    def close(self) -> None:
        self._consumer.close()


def drain(
    workload: Workload,
    contender: Contender,
    events: int,
    show: Show,
    during: During | None = None,
    begin: Begin | None = None,
) -> Drain:
    """Runs a contender over the topic's events, or its own share of them.

    ``during`` is called once with its pid at a tenth, ``begin`` when its processes were started.
    """
    events = contender.share(events)
    workload.forget()
    ends, started = Ends(workload.stack.bootstrap_servers, partitions=workload.partitions), time.monotonic()
    before = ends.each()
    running = Running(contender, workload.environment, Path(workload.folder) / "contender.log")
    try:
        if begin is not None:
            begin(running)
        samples = _sample(workload, running, ends, before, events, show, during)
        memory = sum(psutil.Process(pid).memory_info().rss for pid in running.pids) / 2**20
        mean_chunk = running.mean_chunk()
        p50, p99 = running.chunk_sizes()
    finally:
        running.stop()
        ends.close()
    first, last = steady(samples, events) if contender.processes == 1 else steady_of_all(samples)
    done = last.published - first.published
    if done <= 0:
        raise RuntimeError(f"{contender.name} published {events:,} events in one burst: measure it over more of them")
    return Drain(
        events_per_second=done / (last.at - first.at),
        worker_cpu_us=(last.worker_cpu - first.worker_cpu) / done * 1e6,
        redis_cpu_us=(last.redis_cpu - first.redis_cpu) / done * 1e6,
        chunk_p50=p50,
        chunk_p99=p99,
        start_seconds=next(s.at for s in samples if s.published) - started,
        memory_mib=memory,
        chunk_mean=mean_chunk,
    )


def steady(samples: Sequence[Sample], events: int) -> tuple[Sample, Sample]:
    """The first and the last moment of the steady part."""
    first, last = (next(s for s in samples if s.published >= share * events) for share in (STEADY_FROM, STEADY_TO))
    return first, last


def steady_of_all(samples: Sequence[Sample]) -> tuple[Sample, Sample]:
    """The same of several processes that drained a whole topic: every one has partitions, and none has come to their end.

    RuntimeError where that is less than half of the events.
    """
    ends = samples[-1].each
    first = next((s for s in samples if s.assigned and s.published >= STEADY_FROM * sum(ends)), samples[-1])
    last = next(s for s in samples if any(n >= STEADY_TO * end > 0 for n, end in zip(s.each, ends, strict=True)))
    if last.published - first.published < sum(ends) / 2:
        raise RuntimeError(f"all had work for {last.published - first.published:,} of {sum(ends):,} events only")
    return first, last


def _sample(
    workload: Workload,
    running: Running,
    ends: Ends,
    before: Sequence[int],
    events: int,
    show: Show,
    during: During | None,
) -> list[Sample]:
    processes, samples = [psutil.Process(pid) for pid in running.pids], [Sample(time.monotonic(), (0,) * len(before), 0.0, 0.0)]
    moved = time.monotonic()
    with redis.Redis.from_url(workload.stack.redis_url) as client:
        while samples[-1].published < events:
            time.sleep(SAMPLE_SECONDS)
            running.check()
            samples.append(_now(processes, client, running, ends, before))
            published, now = samples[-1].published, samples[-1].at
            if published > samples[-2].published:
                moved = now
            elif now - moved > STALL_SECONDS:
                raise RuntimeError(f"{published:,} of {events:,} predictions after {STALL_SECONDS:.0f} s without a new one")
            show(published, events)
            if during is not None and published >= STEADY_FROM * events:
                during(running.pid)
                during = None
    return samples


def _now(processes: Sequence[psutil.Process], client: redis.Redis, running: Running, ends: Ends, before: Sequence[int]) -> Sample:
    each = tuple(end - begin for end, begin in zip(ends.each(), before, strict=True))
    times, server = [process.cpu_times() for process in processes], client.info("cpu")
    return Sample(
        at=time.monotonic(),
        each=each,
        worker_cpu=sum(one.user + one.system for one in times),
        redis_cpu=server["used_cpu_user"] + server["used_cpu_sys"],
        assigned=len(processes) == 1 or running.all_assigned(),
    )
