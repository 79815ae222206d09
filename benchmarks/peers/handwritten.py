"""A scoring loop as one would write it on confluent-kafka, with Tidegate's feature store and model but none of its worker.

    python -m benchmarks.peers.handwritten PIPELINE [--overlapped] [--wait-ms N]

Sequential: consume, and for each partition in turn decode, read, compute, score, produce, flush, merge; then commit.
Overlapped: the same steps, one task a partition, so that one partition waits for Redis and Kafka while another computes, and the
next records are fetched meanwhile. N is the longest wait for a full batch, in milliseconds: no matter over a filled topic, most
of the latency under a light load. Addresses come from the environment, as for `tidegate worker`.

Left out, which the worker has: metrics, health pages, checks of event times, rebalances while it runs, recovery, retries.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from types import FrameType
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from featurestore import warmup
from featurestore.compute import Served
from featurestore.events import EventBatch, Source, contract
from featurestore.plan import compile_plan
from featurestore.redis_store import RedisStore
from featurestore.session import Session, View
from scorer.pipeline import Pipeline
from streams.deployments import running
from streams.loading import load_pipeline
from streams.model_source import load_deployed
from streams.records import Prediction
from streams.settings import Settings
from streams.tuning import tune_process
from streams.vectors import VectorEncoder, VectorRows

CONSUME_RECORDS = 8000  # over all partitions, a full chunk of each
CHUNK_EVENTS = 2000  # as the worker's
WAIT_MS = 50


class Loop:
    """The steps of one chunk, and the two ways to string them together."""

    def __init__(self, pipeline: Pipeline, settings: Settings, wait_seconds: float) -> None:
        self.wait_seconds = wait_seconds
        self.pipeline, self.plan = pipeline, compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
        champion = running(settings.kafka, pipeline.name).champion
        assert champion is not None
        self.model = load_deployed(settings, champion, self.plan.schema)
        self.schema = self.plan.schema.fingerprint
        warmup.warm(self.plan)
        self.store = RedisStore(settings.redis, pipeline.shards)
        self.producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "compression.type": "lz4",
                "linger.ms": 2,
                "queue.buffering.max.messages": 500_000,
            }
        )
        self.consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka,
                "group.id": f"tidegate.{pipeline.name}",
                "auto.offset.reset": "earliest",
                "enable.auto.offset.store": False,  # offsets are stored after the merge, and committed every second
                "auto.commit.interval.ms": 1000,
                "fetch.queue.backoff.ms": 10,  # 1 s by default, which idles the loop
            }
        )
        self.consumer.subscribe([contract(pipeline.score).topic])
        self.decode = msgspec.json.Decoder(pipeline.score).decode
        self.encode = msgspec.json.Encoder().encode
        self.vectors = VectorEncoder(self.plan)
        self.sessions: dict[int, Session] = {}
        self.sizes: list[int] = []
        self.stopped = False

    async def session(self, topic: str, partition: int) -> Session:
        found = self.sessions.get(partition)
        if found is None:
            found = self.sessions[partition] = Session(self.plan, self.store, Source(topic, partition))
            await found.begin(None)
        return found

    def decoded(self, messages: list[Message]) -> EventBatch:
        """The chunk's events; a record that is not one goes to the dead-letter topic."""
        kept, events = [], []
        for message in messages:
            try:
                events.append(self.decode(message.value()))
                kept.append(message)
            except msgspec.DecodeError:
                self.producer.produce(f"{self.pipeline.name}.dead-letters", message.value(), message.key())
        times = contract(self.pipeline.score).time
        return EventBatch(
            event=self.pipeline.score,
            source=Source(messages[0].topic(), messages[0].partition()),
            offsets=np.array([message.offset() for message in kept]),
            ingested=np.array([message.timestamp()[1] for message in kept]) / 1000,
            times=np.array([getattr(event, times) for event in events]),
            keys=[message.key() for message in kept],
            events=events,
        )

    def enqueue(self, session: Session, view: View) -> None:
        """Features, scores, and both outputs into the producer's queue."""
        batch, rows = view.batch, np.flatnonzero(view.fresh).tolist()
        served = session.serve(view)
        ids = [f"{batch.source.topic}-{batch.source.partition}-{offset}" for offset in batch.offsets.tolist()]
        event_ids = batch.column(contract(self.pipeline.score).id)
        self.produce("features", self.vector_records(batch, served, ids, event_ids, rows))
        self.produce("predictions", self.prediction_records(batch, served, ids, event_ids, rows))

    def vector_records(
        self, batch: EventBatch, served: Served, ids: list[str], event_ids: list[str], rows: list[int]
    ) -> list[dict[str, Any]]:
        kept = served.take(np.array(rows, dtype=np.int64))
        logged = VectorRows(
            [ids[i] for i in rows],
            [event_ids[i] for i in rows],
            batch.times[rows],
            kept,
            batch.partitions[rows],
            batch.offsets[rows],
        )
        return [{"value": value} for value in self.vectors.encode(logged)]

    def prediction_records(
        self, batch: EventBatch, served: Served, ids: list[str], event_ids: list[str], rows: list[int]
    ) -> list[dict[str, Any]]:
        model, now = self.model, time.time()
        scores = model.loaded.score(served.vectors[rows])
        threshold = self.pipeline.threshold
        times, ingested = batch.times.tolist(), batch.ingested.tolist()
        late, missing, keys = served.late.tolist(), served.missing.tolist(), batch.keys
        records = []
        for i, score in zip(rows, scores.tolist(), strict=True):
            key = keys[i]
            prediction = Prediction(
                prediction_id=ids[i],
                event_id=event_ids[i],
                key=None if key is None else key.decode(),
                pipeline=self.pipeline.name,
                schema=self.schema,
                event_time=times[i],
                ingest_time=ingested[i],
                scored_time=now,
                model=model.name,
                model_version=model.version,
                model_hash=model.loaded.hash,
                variant="champion",
                build=None,
                score=score,
                decision=score >= threshold,
                threshold=threshold,
                confidence=max(score, 1 - score),
                flags=[name for name, raised in (("missing", missing[i]), ("late", late[i])) if raised],
                trace_id=None,
            )
            records.append({"value": self.encode(prediction), "key": key})
        return records

    def produce(self, suffix: str, records: list[dict[str, Any]]) -> None:
        accepted = self.producer.produce_batch(f"{self.pipeline.name}.{suffix}", records)
        assert accepted == len(records)

    async def merge(self, session: Session, view: View, messages: list[Message]) -> None:
        last = messages[-1]
        await session.merge(view, last.offset())
        self.consumer.store_offsets(offsets=[TopicPartition(last.topic(), last.partition(), last.offset() + 1)])
        self.sizes.append(len(messages))

    def consume(self) -> dict[int, list[Message]]:
        """Records by partition, in offset order."""
        found = defaultdict(list)
        for message in self.consumer.consume(CONSUME_RECORDS, timeout=self.wait_seconds):
            if message.error() is None:
                found[message.partition()].append(message)
        return found

    async def sequential(self) -> None:
        while not self.stopped:
            for messages in self.consume().values():
                for chunk in chunks(messages):
                    session = await self.session(chunk[0].topic(), chunk[0].partition())
                    view = await session.read(self.decoded(chunk))
                    self.enqueue(session, view)
                    assert self.producer.flush(30) == 0
                    await self.merge(session, view, chunk)

    async def overlapped(self) -> None:
        loop, queues, tasks = asyncio.get_running_loop(), {}, []
        while not self.stopped:
            for partition, messages in (await loop.run_in_executor(None, self.consume)).items():
                if partition not in queues:
                    queues[partition] = asyncio.Queue[list[Message]](maxsize=2)
                    tasks.append(asyncio.create_task(self.partition(queues[partition])))
                for chunk in chunks(messages):
                    await queues[partition].put(chunk)
            for task in tasks:
                if task.done():
                    task.result()  # raises what stopped it

    async def partition(self, queue: asyncio.Queue[list[Message]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            chunk = await queue.get()
            session = await self.session(chunk[0].topic(), chunk[0].partition())
            view = await session.read(self.decoded(chunk))
            self.enqueue(session, view)
            assert await loop.run_in_executor(None, self.producer.flush, 30) == 0
            await self.merge(session, view, chunk)

    def stop(self, _: int, __: FrameType | None) -> None:
        self.stopped = True


def chunks(messages: list[Message]) -> list[list[Message]]:
    return [messages[i : i + CHUNK_EVENTS] for i in range(0, len(messages), CHUNK_EVENTS)]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("pipeline")
    arguments.add_argument("--overlapped", action="store_true")
    arguments.add_argument("--wait-ms", type=float, default=WAIT_MS)
    chosen = arguments.parse_args()
    loop = Loop(load_pipeline(chosen.pipeline), Settings.from_environment(os.environ), chosen.wait_ms / 1000)
    signal.signal(signal.SIGTERM, loop.stop)
    tune_process()  # what helps the worker helps this loop
    asyncio.run(loop.overlapped() if chosen.overlapped else loop.sequential())
    loop.consumer.close()
    print(json.dumps(np.percentile(loop.sizes or [0], [50, 99]).tolist()))


if __name__ == "__main__":
    main()
