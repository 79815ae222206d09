"""One contender drains the filled topic: what it does a second, and what that costs.

Measured is the steady part: from the moment a tenth of the predictions are on the broker until 95 % are. Start-up, the first
chunks on cold caches and the last partition's tail are left out.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from confluent_kafka import Consumer, TopicPartition

from benchmarks.contenders import Contender, Running
from benchmarks.workload import PARTITIONS, Workload
from examples.payments.pipeline import pipeline
from streams.outputs import TopicNames

SAMPLE_SECONDS = 0.1
STEADY_FROM, STEADY_TO = 0.10, 0.95
STALL_SECONDS = 60.0
Show = Callable[[int, int], None]  # predictions so far, and in all
During = Callable[[int], None]  # the pid
PREDICTIONS = TopicNames.of(pipeline.name).predictions


@dataclass(frozen=True, slots=True)
class Sample:
    """Where things stood at one moment; CPU in seconds since each process began."""

    at: float
    published: int
    worker_cpu: float
    redis_cpu: float


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


class Ends:
    """The end of a topic, as the broker says."""

    def __init__(self, bootstrap_servers: str, topic: str = PREDICTIONS) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "benchmark"})
        self._partitions = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]

    def each(self) -> list[int]:
        return [self._consumer.get_watermark_offsets(one, timeout=10.0)[1] for one in self._partitions]

    def close(self) -> None:
        self._consumer.close()


def drain(
    workload: Workload,
    contender: Contender,
    events: int,
    show: Show,
    during: During | None = None,
) -> Drain:
    """Runs a contender over the topic's events, or its own share of them; ``during`` is called once with its pid at a tenth."""
    events = contender.share(events)
    workload.forget()
    ends, started = Ends(workload.stack.bootstrap_servers), time.monotonic()
    before = sum(ends.each())
    running = Running(contender, workload.environment, Path(workload.folder) / "contender.log")
    try:
        samples = _sample(workload, running, ends, before, events, show, during)
        memory = psutil.Process(running.pid).memory_info().rss / 2**20
        p50, p99 = running.chunk_sizes()
    finally:
        running.stop()
        ends.close()
    first, last = (next(s for s in samples if s.published >= share * events) for share in (STEADY_FROM, STEADY_TO))
    done = last.published - first.published
    if not done:
        raise RuntimeError(f"{contender.name} published {events:,} events in one burst: measure it over more of them")
    return Drain(
        events_per_second=done / (last.at - first.at),
        worker_cpu_us=(last.worker_cpu - first.worker_cpu) / done * 1e6,
        redis_cpu_us=(last.redis_cpu - first.redis_cpu) / done * 1e6,
        chunk_p50=p50,
        chunk_p99=p99,
        start_seconds=next(s.at for s in samples if s.published) - started,
        memory_mib=memory,
    )


def _sample(
    workload: Workload,
    running: Running,
    ends: Ends,
    before: int,
    events: int,
    show: Show,
    during: During | None,
) -> list[Sample]:
    process, samples = psutil.Process(running.pid), [Sample(time.monotonic(), 0, 0.0, 0.0)]
    moved = time.monotonic()
    with redis.Redis.from_url(workload.stack.redis_url) as client:
        while samples[-1].published < events:
            time.sleep(SAMPLE_SECONDS)
            running.check()
            published, cpu, server = sum(ends.each()) - before, process.cpu_times(), client.info("cpu")
            now = time.monotonic()
            if published > samples[-1].published:
                moved = now
            elif now - moved > STALL_SECONDS:
                raise RuntimeError(f"{published:,} of {events:,} predictions after {STALL_SECONDS:.0f} s without a new one")
            redis_cpu = server["used_cpu_user"] + server["used_cpu_sys"]
            samples.append(Sample(now, published, cpu.user + cpu.system, redis_cpu))
            show(published, events)
            if during is not None and published >= STEADY_FROM * events:
                during(running.pid)
                during = None
    return samples
