"""Scoring with Faust as its documentation shows: records, an agent that takes one event after the other, and `topic.send`.

    faust -A benchmarks.peers.faust_documented worker --web-port PORT

What its user guide says of each part: models (`faust.Record` for what is read and sent), agents (`@app.agent`, `async for`),
`stream.events()` for the offset, which a prediction's id needs. State lies in Redis, reached with redis-py's asyncio client in
one pipeline to read and one to merge: merchants and countries are met in every partition, which a Faust table cannot hold.
Settings are Faust's defaults. The agent's concurrency is 1, the default: more would lose the order of events.
"""

from typing import Any

import faust
from redis.asyncio import Redis

from benchmarks.peers.borrowed import GROUP, SOURCE, TOPICS, Borrowed
from benchmarks.peers.one_event import Command, Position
from featurestore.redis_store import MERGE_SCRIPT


class Payment(faust.Record, serializer="json"):
    payment_id: str
    at: float
    user: str
    merchant: str
    country: str
    amount: float
    channel: str
    category: str
    card_age_days: int


class Prediction(faust.Record, serializer="json", include_metadata=False):
    prediction_id: str
    event_id: str
    key: str | None
    pipeline: str
    schema: str
    event_time: float
    ingest_time: float
    scored_time: float
    model: str
    model_version: int
    model_hash: str
    variant: str
    build: str | None
    score: float
    decision: bool
    threshold: float
    confidence: float
    flags: list[str]
    trace_id: str | None


class Vector(faust.Record, serializer="json", include_metadata=False):
    prediction_id: str
    vector: list[float | None]


borrowed = Borrowed.from_environment()
app = faust.App(
    GROUP,
    broker=f"kafka://{borrowed.settings.kafka}",
    datadir=borrowed.settings.cache.parent / "faust",
)
payments = app.topic(SOURCE, key_type=str, key_serializer="raw", value_type=Payment)
predictions = app.topic(TOPICS.predictions, key_type=str, key_serializer="raw", value_type=Prediction)
vectors = app.topic(TOPICS.features, value_type=Vector)
redis = Redis.from_url(borrowed.settings.redis)


async def pipelined(commands: list[Command]) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute()


@app.agent(payments)
async def score(stream: faust.StreamT[Payment]) -> None:
    await redis.script_load(MERGE_SCRIPT)
    async for event in stream.events():
        payment, message = event.value, event.message
        position = Position(message.topic, message.partition, message.offset, message.timestamp)
        parts = borrowed.store.parts(payment, position)
        answers = await pipelined(borrowed.store.reads(parts))
        result = borrowed.store.serve(payment, position, parts, answers)
        (prediction,) = borrowed.predictions([(payment, event.key, position)], result.served)
        await predictions.send(key=event.key, value=Prediction(**prediction))
        await vectors.send(value=Vector(**borrowed.vector(prediction["prediction_id"], result.served)))
        await pipelined(result.merges)
