"""A main job under test: flights in Kafka, workers as processes, and the questions that tests ask of what came out."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from examples.flights.dataset import Record
from examples.flights.pipeline import pipeline
from featurestore.compute import Served
from featurestore.events import contract
from featurestore.plan import FeaturePlan, compile_plan
from streams.records import Prediction
from streams.settings import Settings
from streams.vectors import decode_vectors

ROOT = Path(__file__).resolve().parents[2]
PIPELINE_FILE = str(ROOT / "examples" / "flights" / "pipeline.py")
PLAN: FeaturePlan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
GROUP = f"tidegate.{pipeline.name}"
SOURCES = tuple(contract(event).topic for event in PLAN.events)
SESSION_SECONDS = 6.0


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Until the condition holds; AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


@dataclass
class Job:
    """One stack's addresses and the workers started on it."""

    settings: Settings
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka,
            "REDIS_URL": self.settings.redis,
            "MLFLOW_TRACKING_URI": self.settings.registry_uri,
            "TIDEGATE_CACHE": str(self.settings.cache),
        }
        command = [sys.executable, "-m", "streams.cli", "worker", PIPELINE_FILE, "--web-port", "0"]
        command += ["--session-timeout", str(SESSION_SECONDS), "--max-chunk-events", "200"]
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            started = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.workers.append(started)
        return started

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("worker-*.log")))

    def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(20)
            worker.kill()

    def send(self, records: Sequence[Record]) -> None:
        """Everything at once, in the order given; returns when the broker has it."""
        producer = Producer({"bootstrap.servers": self.settings.kafka, "partitioner": "murmur2_random"})
        for record in records:
            producer.produce(record.topic, key=record.key, value=record.value)
            producer.poll(0)
        assert producer.flush(60) == 0

    def lag(self) -> int:
        """Records of the source topics that the group has not committed."""
        with self.consumer(GROUP) as consumer:
            metadata = consumer.list_topics(timeout=10).topics
            partitions = [TopicPartition(topic, p) for topic in SOURCES if topic in metadata for p in metadata[topic].partitions]
            committed = {(c.topic, c.partition): c.offset for c in consumer.committed(partitions, timeout=10)}
            lag = 0
            for partition in partitions:
                low, high = consumer.get_watermark_offsets(partition, timeout=10)
                lag += high - max(low, committed[partition.topic, partition.partition])
            return lag

    def wait_until_done(self, seconds: float) -> None:
        try:
            wait_for(lambda: self.lag() == 0, seconds, "every record committed")
        except AssertionError as error:
            raise AssertionError(f"{error}; workers said:\n{self.logs()}") from error

    @contextlib.contextmanager
    def consumer(self, group: str) -> Iterator[Consumer]:
        settings = {"bootstrap.servers": self.settings.kafka, "group.id": group, "enable.auto.commit": False}
        consumer = Consumer(settings | {"auto.offset.reset": "earliest", "enable.partition.eof": True})
        try:
            yield consumer
        finally:
            consumer.close()

    def values(self, topic: str) -> list[bytes]:
        """Every record of a topic."""
        with self.consumer("reader") as consumer:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
            consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
            left, out = {p for p, end in ends.items() if end}, []
            while left:
                message: Any = consumer.poll(10)
                assert message is not None, f"{topic} was not read to its end"
                if message.error():
                    left.discard(message.partition())
                else:
                    out.append(message.value())
            return out

    def predictions(self) -> list[Prediction]:
        return [msgspec.json.decode(value, type=Prediction) for value in self.values(f"{pipeline.name}.predictions")]

    def vectors(self) -> dict[str, bytes]:
        """The first served vector of each event id."""
        out: dict[str, bytes] = {}
        for value in self.values(f"{pipeline.name}.features"):
            batch = decode_vectors(value)
            rows = batch["vector"].flatten().to_numpy().reshape(len(batch), -1)
            for id, row in zip(batch["event_id"].to_pylist(), rows, strict=True):
                out.setdefault(id, row.tobytes())
        return out


def differing_share(served: dict[str, bytes], events: Sequence[Any], offline: Served) -> float:
    """The share of events whose served vector is not bit-equal to the offline one."""
    differs = [served[event.flight_id] != row.tobytes() for event, row in zip(events, offline.vectors, strict=True)]
    return float(np.mean(differs))
