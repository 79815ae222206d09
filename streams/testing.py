"""Tests of a pipeline without a broker and without Redis: the worker's own flow in memory, driven call by call.

    with TestDriver(pipeline, model=lambda vectors: vectors[:, 0] / 100) as driver:
        driver.send(Payment(...), Payment(...))
        assert [p.decision for p in driver.predictions()] == [False, True]

What a worker does to a chunk is done here by the same code, so features, flags, ids and dead letters are those of production.
What only Kafka and Redis do is left out: rebalances, retries, retention.
"""

import asyncio
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec
import numpy as np
from aiokafka.partitioner import murmur2

from featurestore.events import Event, Floats, contract
from featurestore.memory_store import MemoryStore
from featurestore.personal import Pseudonyms, spared_values
from featurestore.plan import compile_plan
from featurestore.schema import FeatureSchema
from monitors.metrics import WorkerMetrics
from scorer.artifact import Facts, LoadedVersion, Manifest, load_artifact
from scorer.models import Model
from scorer.models.port import select_columns
from scorer.pipeline import Pipeline, Task
from streams.chunk import TP, Chunk, Record
from streams.codec import encode_event, event_key
from streams.errors import DriverError
from streams.flow import Flow
from streams.outputs import TopicNames
from streams.publisher import MemoryPublisher
from streams.records import REASONS, DeadLetter, Prediction
from streams.serving import ServingModel
from streams.vectors import decode_vectors

Scores = Callable[[Floats], Any]  # vectors (n, features), NaN for missing -> scores (n,), multiclass (n, classes)
Sent = Event | Mapping[str, Any] | bytes | None
Crash = Literal["published", "merged"]
TEST_KEY = b"the TestDriver's own key"


class TestDriver:
    """A worker of one pipeline that tests hold in hand. Every call returns when its effects can be seen.

    ``model``: None (features only), a function from vectors to scores, a model of scorer.models, or a trained version's folder.
    Event ids must be distinct for ``features_of``. ``hash_key`` hashes personal fields; ``hashed`` tells a value's hash.
    Not for use inside a running event loop.
    """

    __test__ = False  # for pytest, which takes Test... for tests

    def __init__(
        self,
        pipeline: Pipeline,
        model: Scores | Model | Path | None = None,
        *,
        partitions: int = 1,
        max_chunk_events: int = 2000,
        hash_key: bytes = TEST_KEY,
    ) -> None:
        self.pipeline, self.plan = pipeline, compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
        self.now = 0.0
        self._model = _serving(model, pipeline, self.plan.schema)
        self._pseudonyms = Pseudonyms(hash_key, spared_values(self.plan.groups))
        self._partitions, self._max_chunk = partitions, max_chunk_events
        self._topics, self._names = {contract(event).topic: event for event in self.plan.events}, TopicNames.of(pipeline.name)
        self._store, self._publisher, self._runner = MemoryStore(pipeline.shards), _Publisher(), asyncio.Runner()
        self._log: list[tuple[TP, LoggedRecord]] = []
        self._ends: dict[TP, int] = {}
        self._committed: dict[TP, int] = {}
        self.restart()

    # -- events in

    def send(
        self,
        *events: Sent,
        topic: str | None = None,
        partition: int | None = None,
        key: bytes | None = None,
        at: float | None = None,
        headers: Mapping[str, bytes | None] | None = None,
        crash: Crash | None = None,
    ) -> None:
        """Puts records on their topics, in this order, and lets the worker consume them, unless it has crashed.

        Events, or what a producer might send instead: mappings (sent as JSON) and raw bytes go to ``topic``, by default the
        scored one. The partition follows from the key as with any Kafka producer. ``at``, seconds since the epoch, is the
        broker's clock, which else goes with the newest event. ``crash`` kills the worker in its next chunk, "published" but not
        merged, or "merged" but not committed; what is sent then waits for ``restart()``.
        """
        for event in events:
            self._append(event, topic, partition, key, at, headers or {})
        self._publisher.kill = crash == "published"
        self._consume(lose_commit=crash == "merged")

    def restart(self) -> None:
        """A new worker in place of the old one; it begins where the offsets were committed."""
        self.metrics = WorkerMetrics(self.pipeline.name, [group.name for group in self.plan.groups], REASONS)
        self._flow: Flow | None = Flow(
            self.pipeline,
            self.plan,
            self._store,
            self._publisher,
            self.metrics,
            self._model,
            clock=lambda: self.now,
            pseudonyms=self._pseudonyms,
        )
        self._publisher.kill = False
        self._positions: dict[TP, int] = {}
        self._read = 0
        self._consume()

    # -- results out

    def predictions(self, *, repeated: bool = False) -> list[Prediction]:
        """Every prediction in the order of publishing; the first of each id, as consumers keep it, unless ``repeated``."""
        found = [msgspec.json.decode(value, type=Prediction) for value in self._publisher.values(self._names.predictions)]
        return found if repeated else list({p.prediction_id: p for p in reversed(found)}.values())[::-1]

    def dead_letters(self, *, repeated: bool = False) -> list[DeadLetter]:
        """Every dead letter in the order of publishing; the first of each id unless ``repeated``."""
        found = [msgspec.json.decode(value, type=DeadLetter) for value in self._publisher.values(self._names.dead_letters)]
        return found if repeated else list({letter.dead_letter_id: letter for letter in reversed(found)}.values())[::-1]

    def features(self) -> dict[str, dict[str, float]]:
        """The served vector of each event id, by feature name; NaN for missing. Of repeated ones the first."""
        out: dict[str, dict[str, float]] = {}
        for value in self._publisher.values(self._names.features):
            batch = decode_vectors(value)
            rows = batch["vector"].flatten().to_numpy().reshape(len(batch), -1)
            for event_id, row in zip(batch["event_id"].to_pylist(), rows, strict=True):
                out.setdefault(event_id, dict(zip(self.plan.schema.names, row.tolist(), strict=True)))
        return out

    def features_of(self, event: Event | str) -> dict[str, float]:
        """What one scored event's vector held, by feature name; the event or its id. DriverError where none was served."""
        agreed = contract(self.pipeline.score)
        event_id = event if isinstance(event, str) else str(getattr(event, agreed.id))
        if agreed.id in agreed.personal:
            event_id = self._pseudonyms.of(agreed.id, event_id)
        found = self.features()
        if event_id not in found:
            raise DriverError(
                f"no vector was served for {event_id!r}; see dead_letters() and what {len(found)} vectors there are"
            )
        return found[event_id]

    def hashed(self, value: str) -> str:
        """What stands for a personal value in predictions, keys and states."""
        return self._pseudonyms.hash(value)

    def metric(self, name: str, **labels: str) -> float:
        """A metric of this worker, such as ``metric("tidegate_events_total", outcome="scored")``; KeyError where it has none."""
        value = self.metrics.registry.get_sample_value(name, {"pipeline": self.pipeline.name, **labels})
        if value is None:
            raise KeyError(f"no metric {name} with {labels}")
        return value

    def close(self) -> None:
        self._runner.close()

    def __enter__(self) -> "TestDriver":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- the broker's part

    def _append(
        self,
        event: Sent,
        topic: str | None,
        partition: int | None,
        key: bytes | None,
        at: float | None,
        headers: Mapping[str, Any],
    ) -> None:
        topic = topic or contract(type(event) if isinstance(event, Event) else self.pipeline.score).topic
        if topic not in self._topics:
            raise DriverError(f"{self.pipeline.name} does not read {topic!r}; it reads {', '.join(self._topics)}")
        value, own_key, time = _as_record(event, self._topics[topic])
        key = own_key if key is None else key
        if partition is None:
            partition = (murmur2(key) & 0x7FFFFFFF) % self._partitions if key is not None else len(self._log) % self._partitions
        self.now = max(self.now, time) if at is None else at
        tp = TP(topic, partition)
        offset = self._ends.get(tp, 0)
        self._ends[tp] = offset + 1
        self._log.append((tp, LoggedRecord(key, value, offset, math.ceil(self.now * 1000), tuple(headers.items()))))

    def _consume(self, lose_commit: bool = False) -> None:
        """Hands everything not yet read to the worker, in the order of sending; each run of one partition is a chunk."""
        if self._flow is None:
            return
        try:
            self._runner.run(self._chunks(self._flow, lose_commit))
        except _Killed:
            self._flow = None

    async def _chunks(self, flow: Flow, lose_commit: bool) -> None:
        for tp in sorted(self._ends.keys() - self._positions.keys()):
            start = await flow.assign(tp, self._committed.get(tp), self._ends[tp])
            self._positions[tp] = self._committed.get(tp, 0) if start is None else start
        unread = [(tp, record) for tp, record in self._log[self._read :] if record.offset >= self._positions[tp]]
        self._read = len(self._log)
        for tp, run in itertools.groupby(unread, key=lambda pair: pair[0]):
            records: list[Record] = [record for _, record in run]
            for first in range(0, len(records), self._max_chunk):
                chunk = Chunk(tp.topic, tp.partition, records[first : first + self._max_chunk])
                await flow(chunk)
                if lose_commit:
                    raise _Killed
                self._positions[tp] = chunk.last_offset + 1
                self._committed.update(await flow.settle({tp: chunk.last_offset + 1}))


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record as the broker keeps it."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int  # milliseconds
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_type: int = 1  # LogAppendTime


class _Killed(Exception):
    """The worker died, as the test wished."""


class _Publisher(MemoryPublisher):
    kill = False

    async def publish(self, batches: Any) -> None:
        await super().publish(batches)
        if self.kill:
            raise _Killed


def feature_names(pipeline: Pipeline) -> tuple[str, ...]:
    """The names of the vector's columns, in order: what a model's function finds where."""
    return tuple(compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards).schema.names)


def _as_record(event: Sent, declared: type[Event]) -> tuple[bytes | None, bytes | None, float]:
    """Value, key and event time (0 where there is none to be read) of what a test sends."""
    agreed = contract(declared)
    if isinstance(event, Event):
        return encode_event(event), event_key(event), float(getattr(event, agreed.time))
    if isinstance(event, Mapping):
        key, time = event.get(agreed.key), event.get(agreed.time)
        value = msgspec.json.encode(event)
        known = float(time) if isinstance(time, int | float) and math.isfinite(time) else 0.0
        return value, None if key is None else str(key).encode(), known
    return event, None, 0.0


@dataclass(frozen=True)
class _FunctionModel:
    """A function in a model's place."""

    function: Scores
    schema: FeatureSchema
    task: Task
    kind: str = "function"
    threads: int = 1

    def score(self, matrix: Floats) -> Floats:
        return np.asarray(self.function(matrix), dtype=np.float64)

    def files(self) -> dict[str, bytes]:
        return {}


def _serving(model: Any, pipeline: Pipeline, schema: FeatureSchema) -> ServingModel | None:
    if model is None or isinstance(model, ServingModel):
        return model
    if isinstance(model, (str, Path)):
        return ServingModel(1, load_artifact(Path(model), schema))
    if not hasattr(model, "score"):
        model = _FunctionModel(model, schema, pipeline.task)
    own = model.schema
    facts = Facts(
        pipeline=pipeline.name, model_name=pipeline.model, owner=pipeline.owner, created=0.0, threshold=pipeline.threshold
    )
    manifest = Manifest(
        kind=model.kind, task=model.task, schema=own, fingerprint=own.fingerprint, facts=facts, libraries={}, files={}
    )
    return ServingModel(1, LoadedVersion(manifest, model, "0" * 64, select_columns(own, schema, pipeline.model)))


__all__ = ["DriverError", "TestDriver", "feature_names"]
