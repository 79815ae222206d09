"""A world to put faults into: a stack, workers, load, and the oracle; all of it real processes on loopback."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import TopicPartition

from featurestore.events import Source, contract
from featurestore.redis_store import RedisStore
from streams.embedded import Stack
from streams.settings import Settings
from streams.topics import ensure_topics
from streams.worker import topic_specs
from tests.faults.load import Load
from tests.faults.model import Champion, plan_of
from tests.faults.oracle import Oracle, States
from tests.faults.outputs import Outputs
from tests.faults.pipeline import OPTIONS, WITNESS, with_options
from tests.faults.reading import consumer, retrying
from tests.faults.sources import Place, Sources
from tests.faults.workers import Supervisor, Worker

SESSION_SECONDS = 6.0
READY_SECONDS = 180.0  # a start is 5 s of CPU; machines may be busy with other campaigns
POLL_SECONDS = 0.05


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """TimeoutError, with what was waited for, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment (seconds since the epoch), and how far each partition's predictions had come."""

    at: float
    counts: Mapping[int, int]


class World:
    """Use as a context manager: `with World(champion, folder) as world`. Begins with its workers ready and the load running.

    ``rate`` is events a second over both topics; ``stack`` are options of Stack.start; ``worker`` fields of WorkerOptions for
    every worker; ``environment`` more of their environment; ``pipeline`` fields of the Pipeline to replace (plain values).
    """

    def __init__(
        self,
        champion: Champion,
        folder: Path,
        *,
        workers: int = 2,
        partitions: int = 4,
        rate: float = 300.0,
        seed: int = 1,
        cluster: bool = False,
        appendonly: bool = False,
        stack: Mapping[str, Any] | None = None,
        worker: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        started: bool = True,
        **pipeline: Any,
    ) -> None:
        self.folder, self.partitions, self.rate = folder, partitions, rate
        self.pipeline = with_options(pipeline)
        self.plan = plan_of(self.pipeline.shards)
        self.workers: list[Worker] = []
        self._champion, self._count, self._seed, self._started = champion, workers, seed, started
        self._stack_options = {"appendonly": appendonly, **({"cluster": True} if cluster else {}), **(stack or {})}
        self._worker_options = {"partitions": partitions, "session_timeout_seconds": SESSION_SECONDS, "max_chunk_events": 500}
        self._worker_options |= worker or {}
        self._environment = {OPTIONS: json.dumps(pipeline), **(environment or {})}
        self._names = 0
        self._closing: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        try:
            self._enter()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _enter(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stack = Stack.start(environ={k: v for k, v in os.environ.items() if k not in OURS}, **self._stack_options)
        self._closing.append(self.stack.close)
        self.settings = Settings.from_environment(self._addresses(), self.folder)
        ensure_topics(self.settings.kafka, topic_specs(self.pipeline, self.plan, self.partitions))
        columns = [column.name for column in self.plan.schema.columns]
        scored = contract(self.plan.scored).topic
        self.outputs = Outputs(self.settings.kafka, self.pipeline.name, scored, columns.index(WITNESS))
        self._closing.append(self.outputs.close)
        self.sources = Sources(self.settings.kafka, self.plan, self.pipeline.future_skew_seconds)
        self._closing.append(self.sources.close)
        self.sources.ends()  # answers once the broker leads all new partitions, of which there may be hundreds
        self._champion.deploy(self.settings)
        self.oracle = Oracle(self.plan, self.sources, self.outputs)
        self._group = consumer(self.settings.kafka, f"tidegate.{self.pipeline.name}")
        self._closing.append(self._group.close)
        self._load = Load(self.settings.kafka, self.partitions, self.rate, self._seed)
        self._closing.append(lambda: self._load.stop(1))
        self.supervisor = Supervisor(self.workers, self.start_worker)
        self._closing += [self._close_workers, self.supervisor.close]
        if self._started:
            for _ in range(self._count):
                self.start_worker()
            self.wait_ready()
            self.load()
            self.wait_recovered(self.mark(), READY_SECONDS)

    def _addresses(self) -> dict[str, str]:
        addresses = {"KAFKA_BOOTSTRAP_SERVERS": self.stack.bootstrap_servers, "REDIS_URL": self.stack.redis_url}
        return addresses | {"MLFLOW_TRACKING_URI": self._champion.registry_uri, "TIDEGATE_CACHE": str(self._champion.cache)}

    def close(self) -> None:
        while self._closing:
            self._closing.pop()()

    def _close_workers(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.close()

    # -- workers

    @property
    def supervise(self) -> bool:
        """Whether workers that end by themselves are started again; true from the beginning."""
        return self.supervisor.active

    @supervise.setter
    def supervise(self, active: bool) -> None:
        self.supervisor.active = active

    @property
    def restarts(self) -> int:
        """How many workers ended by themselves and were started again; `supervisor.exits` says with which words."""
        return self.supervisor.restarts

    def start_worker(self, options: Mapping[str, Any] | None = None, **environment: str) -> Worker:
        """One more worker process; TIDEGATE_FAULT=... arms it from the start. `options` are fields of WorkerOptions."""
        self._names += 1
        given = {**self._addresses(), **self._environment, **environment}
        worker = Worker(f"worker-{self._names}", self.folder, {**self._worker_options, **(options or {})}, given)
        self.workers.append(worker)
        return worker

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until every worker has its partitions."""
        wait_until(lambda: all(worker.ready for worker in self.workers), seconds, f"every worker ready (see {self.folder})")

    def heal(self, seconds: float = READY_SECONDS) -> None:
        """Starts as many workers as the world began with again, and waits until all are ready."""
        self.replace()
        self.wait_ready(seconds)

    def replace(self) -> None:
        """Starts a worker for each that is gone."""
        self.workers[:] = [worker for worker in self.workers if worker.alive]
        while len(self.workers) < self._count:
            self.start_worker()

    def restart(self, worker: Worker, **environment: str) -> None:
        """Ends a worker (SIGTERM) and starts a new one in its place; returns when all have their partitions and predict."""
        worker.terminate()
        worker.wait()
        self.workers.remove(worker)
        self.start_worker(None, **environment)
        self.wait_ready()
        self.wait_recovered(self.mark())

    # -- load

    def load(self, rate: float | None = None) -> Load:
        """Makes the load run, at this rate from now on."""
        self._load.rate = self._load.rate if rate is None else rate
        self._load.start()
        return self._load

    def stop_load(self) -> None:
        self._load.stop()

    # -- what is seen of it

    def mark(self) -> Mark:
        return Mark(time.time(), self.outputs.counts())

    def wait_recovered(self, mark: Mark, timeout: float = 60.0) -> float:
        """Seconds from the mark until every partition had a prediction of an event produced after it, by the broker's clock.

        TimeoutError names the partitions without one.
        """
        places, when = dict(mark.counts), dict[int, float]()
        deadline = time.monotonic() + timeout
        while missing := [number for number in range(self.partitions) if number not in when]:
            for number in missing:
                if (found := self.outputs.first_since(number, mark.at, places)) is not None:
                    when[number] = found
            if time.monotonic() > deadline:
                raise TimeoutError(f"no prediction of newer events within {timeout:.0f} s in the partitions {missing}")
            time.sleep(POLL_SECONDS)
        return max(when.values()) - mark.at

    def committed(self) -> dict[Place, int]:
        """The group's committed offset of every source partition; 0 where there is none."""
        places = [TopicPartition(topic, number) for topic in self.sources.topics for number in range(self.partitions)]
        found = retrying(lambda: self._group.committed(places, timeout=10))
        return {(one.topic, one.partition): max(0, one.offset) for one in found}

    def lag(self) -> int:
        committed = self.committed()
        return sum(end - committed[place] for place, end in self.sources.ends().items())

    def drain(self, timeout: float = 90.0) -> None:
        """Stops the load and waits until everything is committed."""
        self.stop_load()
        wait_until(lambda: self.lag() == 0, timeout, f"every record committed (see {self.folder})")

    # -- the oracle

    def least_fences(self) -> dict[Place, int]:
        """Each source partition's lowest fence over all shards of the groups that its topic feeds."""
        return asyncio.run(self._least_fences())

    async def _least_fences(self) -> dict[Place, int]:
        store = RedisStore(self.settings.redis, self.plan.shards)
        out = {}
        try:
            for topic in self.sources.topics:
                names = [self.plan.namespace(group) for group in self.plan.written_by(topic)]
                for number in range(self.partitions):
                    fences = await store.fences(names, Source(topic, number))
                    out[topic, number] = min(int(found.min()) for found in fences)
        finally:
            await store.close()
        return out

    def states(self) -> States:
        """Every entity's state, by group."""

        async def dump() -> States:
            store = RedisStore(self.settings.redis, self.plan.shards)
            try:
                return {group.name: await store.dump(self.plan.namespace(group)) for group in self.plan.groups}
            finally:
                await store.close()

        return asyncio.run(dump())

    def audit(self, *, fences: bool = True) -> list[str]:
        """Violations of "nothing committed is unpublished or unmerged", at this instant, workers at work.

        Without `fences` where Redis has just lost data: until recovery they lie behind, as they should.
        """
        committed = self.committed()
        least = self.least_fences() if fences else None
        self.sources.read_on()
        self.outputs.catch_up()
        return self.oracle.audit(committed, least)

    def verify(self, *, strict_future: bool = True, exact: bool = True) -> list[str]:
        """The whole oracle, after `drain`: states, predictions, dead letters, the witness' counts (see Oracle.verify)."""
        return [*self.audit(), *self.oracle.verify(self.states(), strict_future=strict_future, exact=exact)]


OURS = frozenset({"KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"})  # faults need servers that may be killed: never somebody's own
