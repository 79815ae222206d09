"""The workload `payments` made ready: a model in a registry of its own, topics, and a topic filled with events."""

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from rich.console import Console

from examples.payments.generate import Stream, records, write_parquet
from examples.payments.pipeline import pipeline
from featurestore import offline
from featurestore.definitions import seconds
from featurestore.events import contract
from featurestore.parquet import read_history
from featurestore.plan import compile_plan
from scorer.labels import join
from scorer.training import TrainedModel, train
from streams.embedded import Stack
from streams.outputs import TopicNames
from streams.settings import Settings
from streams.topics import ensure_topics, existing
from streams.training import promote, register
from streams.worker import topic_specs

PIPELINE_FILE = Path(__file__).parent.parent / "examples" / "payments" / "pipeline.py"
PLAN = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
SOURCE = contract(pipeline.score).topic
PARTITIONS = 4
TREES, LEAVES = 100, 63
LEARNING_RATE = 0.03  # slow enough that early stopping does not end before the last tree
# A second of event time holds 1,000 payments when they are measured: a chunk then spans seconds, as live traffic at full load
# does, and not hours of it. For training 50, so that an hour of windows fits into a small history.
RATE, TRAINING_RATE, TRAINING_EVENTS = 1000.0, 50.0, 200_000
SEED, TRAINING_SEED = 2, 1
KAFKA_SECONDS = 60.0
TRANSACTION_MS = 600_000  # within which the events that it hides must be shown


@dataclass(frozen=True, slots=True)
class Workload:
    """A stack with everything but events on it; ``folder`` holds the registry and the fetched models."""

    stack: Stack
    folder: Path
    partitions: int = PARTITIONS

    @property
    def environment(self) -> dict[str, str]:
        """What a worker's environment says of this stack."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.stack.bootstrap_servers,
            "REDIS_URL": self.stack.redis_url,
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/registry.db",
            "TIDEGATE_CACHE": str(self.folder / "models"),
        }

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment, self.folder)

    def create_topics(self) -> None:
        ensure_topics(self.stack.bootstrap_servers, topic_specs(pipeline, PLAN, self.partitions))

    def deploy(self, trained: TrainedModel) -> None:
        promote(
            pipeline, register(pipeline, trained, self.settings, PIPELINE_FILE.parent), self.settings, "benchmark", "to measure"
        )

    def fill(self, stream: Stream, *, partition: int | None = None) -> int:
        """Sends a stream's payments, keyed by user, or all to one partition; returns the bytes of their values."""
        return sum(size for _, size in self.feed(stream, partition=partition))

    def feed(self, stream: Stream, *, partition: int | None = None, compression: str = "none") -> Iterator[tuple[int, int]]:
        """Sends a stream's next block whenever it is asked; how many payments that were, and the bytes of their values."""
        yield from _send(self._producer(**{"enable.idempotence": True, "compression.type": compression}), stream, partition)

    def hide(self, stream: Stream) -> Callable[[], None]:
        """Sends them in a transaction: workers see none of them until the function returned is called, and then all."""
        transaction = {"transactional.id": "benchmark", "transaction.timeout.ms": TRANSACTION_MS}
        producer = self._producer(**transaction)
        producer.init_transactions(KAFKA_SECONDS)
        producer.begin_transaction()
        for _ in _send(producer, stream, None):
            pass
        return lambda: producer.commit_transaction(KAFKA_SECONDS)

    def _producer(self, **config: Any) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.stack.bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "queue.buffering.max.messages": 200_000,
                **config,
            }
        )

    def empty(self) -> None:
        """The source topic anew, without records."""
        self._delete([SOURCE])
        self.create_topics()

    def repartitioned(self, partitions: int) -> "Workload":
        """The same stack and model with the source and the outputs anew, empty, in so many partitions each."""
        names = TopicNames.of(pipeline.name)
        self._delete([SOURCE, names.predictions, names.features])
        other = replace(self, partitions=partitions)
        other.create_topics()
        return other

    def _delete(self, topics: list[str]) -> None:
        admin = AdminClient({"bootstrap.servers": self.stack.bootstrap_servers})
        for future in admin.delete_topics(topics).values():
            future.result()
        while existing(admin, 10.0).intersection(topics):
            pass

    def forget(self) -> None:
        """No consumer group, no feature state: whoever comes next begins at the first event."""
        import redis

        with redis.Redis.from_url(self.stack.redis_url) as client:
            client.flushall()
        admin = AdminClient({"bootstrap.servers": self.stack.bootstrap_servers})
        for future in admin.delete_consumer_groups([f"tidegate.{pipeline.name}"]).values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].name() != "GROUP_ID_NOT_FOUND":
                    raise


def _send(producer: Producer, stream: Stream, partition: int | None) -> Iterator[tuple[int, int]]:
    """Block by block: how many payments, and the bytes of their values."""
    for keys, values in records(stream):
        messages = [{"key": key, "value": value} for key, value in zip(keys, values, strict=True)]
        where = {} if partition is None else {"partition": partition}
        if producer.produce_batch(SOURCE, messages, **where) != len(messages) or producer.flush(KAFKA_SECONDS):
            raise RuntimeError(f"not every event reached {SOURCE}")
        yield len(values), sum(map(len, values))


@contextmanager
def prepared(console: Console) -> Iterator[Workload]:
    """A workload on a stack of its own, never the environment's, because its Redis is flushed; topics made, model deployed."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder, Stack.start(environ={}) as stack:
        workload = Workload(stack, Path(folder))
        with console.status("training") if console.is_terminal else nullcontext():
            workload.create_topics()
            workload.deploy(trained_model())
        yield workload


@functools.cache
def trained_model() -> TrainedModel:
    """100 trees of 63 leaves on a generated history: random labels would make trees three times cheaper to walk."""
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(Path(folder), Stream(TRAINING_EVENTS, TRAINING_RATE, TRAINING_SEED))
        batches = read_history(Path(folder), [pipeline.score, pipeline.label.event])
    history = offline.compute(PLAN, [batch for batch in batches if batch.event in PLAN.events])
    labelled = join(pipeline, PLAN, history, batches)
    trained = train(
        labelled.matrix,
        labelled.labels,
        labelled.times,
        PLAN.schema,
        task=pipeline.task,
        seed=TRAINING_SEED,
        gap_seconds=seconds(pipeline.label.maturity),
        params={"num_leaves": LEAVES, "learning_rate": LEARNING_RATE},
        rounds_max=TREES,
        texts=labelled.texts,
    )
    if trained.rounds != TREES:
        raise RuntimeError(f"the model has {trained.rounds} trees, not {TREES}: it would be cheaper than what is reported")
    return trained
