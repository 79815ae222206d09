"""Scoring with Faust as fast as `take` makes it: a thousand events at once, in columns, one Session a partition.

    faust -A benchmarks.peers.faust_take -L uvloop worker --web-port PORT

Tuned beyond the documentation's examples: raw values decoded and encoded by msgspec, uvloop, commits by time alone, a larger
buffer, vectors as one Arrow record a chunk, the partitions of a batch side by side. Each event still passes through Faust's
stream, and each prediction through its `topic.send`: that is what Faust has. Events are merged when the broker has acknowledged
their predictions, as by the worker.
"""

import asyncio
import json
import sys
from collections import defaultdict
from typing import Any

import faust
import msgspec
import numpy as np

from benchmarks.peers.borrowed import GROUP, SOURCE, TOPICS, Borrowed
from benchmarks.peers.one_event import Position
from examples.payments.events import Payment
from featurestore.compute import Served
from featurestore.events import EventBatch, Ints, Source
from featurestore.redis_store import RedisStore
from featurestore.session import Session
from streams.vectors import VectorEncoder, VectorRows

TAKE_EVENTS, TAKE_SECONDS = 1000, 0.1
decode = msgspec.json.Decoder(Payment).decode
encode = msgspec.json.Encoder().encode

borrowed = Borrowed.from_environment()
app = faust.App(
    GROUP,
    broker=f"kafka://{borrowed.settings.kafka}",
    datadir=borrowed.settings.cache.parent / "faust",
    key_serializer="raw",
    value_serializer="raw",
    broker_commit_interval=1.0,
    broker_commit_every=1_000_000,
    stream_buffer_maxsize=16_384,
    producer_linger=0.002,
    topic_disable_leader=True,
)
payments, predictions, vectors = app.topic(SOURCE), app.topic(TOPICS.predictions), app.topic(TOPICS.features)
store, encoder = RedisStore(borrowed.settings.redis, borrowed.plan.shards), VectorEncoder(borrowed.plan)
sessions: dict[int, Session] = {}
sizes: list[int] = []


@app.agent(payments)
async def score(stream: faust.StreamT[bytes]) -> None:
    async for events in stream.take_events(TAKE_EVENTS, within=TAKE_SECONDS):
        chunks = defaultdict(list)
        for event in events:
            chunks[event.message.partition].append(event.message)
        await asyncio.gather(*(handle(partition, messages) for partition, messages in chunks.items()))


async def handle(partition: int, messages: list[Any]) -> None:
    """One partition's share of a batch: read, score, publish and wait for the broker, merge."""
    session, batch = await assigned(partition), decoded(partition, messages)
    view = await session.read(batch)
    rows = np.flatnonzero(view.fresh)
    served = session.serve(view).take(rows)
    positions = [(batch.events[i], messages[i].key.decode(), position(messages[i])) for i in rows.tolist()]
    found = borrowed.predictions(positions, served) if positions else []
    sent = [await vectors.send(value=value) for value in arrow(found, batch, rows, served)]
    for prediction in found:
        sent.append(await predictions.send(key=prediction["key"].encode(), value=encode(prediction)))
    await asyncio.gather(*sent)
    await session.merge(view, messages[-1].offset)
    sizes.append(len(messages))


async def assigned(partition: int) -> Session:
    if partition not in sessions:
        session = Session(borrowed.plan, store, Source(SOURCE, partition))
        await session.begin(None)
        sessions[partition] = session
    return sessions[partition]


def decoded(partition: int, messages: list[Any]) -> EventBatch:
    events = [decode(message.value) for message in messages]
    return EventBatch(
        event=Payment,
        source=Source(SOURCE, partition),
        offsets=np.array([message.offset for message in messages]),
        ingested=np.array([message.timestamp for message in messages]),
        times=np.array([event.at for event in events]),
        keys=[message.key for message in messages],
        events=events,
    )


def position(message: Any) -> Position:
    return Position(message.topic, message.partition, message.offset, message.timestamp)


def arrow(found: list[dict[str, Any]], batch: EventBatch, rows: Ints, served: Served) -> list[bytes]:
    ids, event_ids = ([one[name] for one in found] for name in ("prediction_id", "event_id"))
    logged = VectorRows(ids, event_ids, batch.times[rows], served, batch.partitions[rows], batch.offsets[rows])
    return list(encoder.encode(logged))


@app.on_before_shutdown.connect
async def report(*_: Any, **__: Any) -> None:
    """Says the chunks' sizes where the benchmark reads them: not on what Faust has redirected to its log."""
    print(json.dumps(np.percentile(sizes or [0], [50, 99]).tolist()), file=sys.__stdout__, flush=True)
