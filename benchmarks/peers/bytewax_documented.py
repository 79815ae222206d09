"""Scoring with Bytewax as its documentation shows: Kafka operators around a `flat_map`, one event at a time.

    python -m bytewax.run benchmarks.peers.bytewax_documented

Bytewax installs and runs on Python 3.11 (0.21.1, its last release, of November 2024); the company behind it has closed, and the
project is looked after by its community (bytewax/bytewax#560). Its own guide has no consumer group by default and so commits
nothing: a crash begins anew. An event is merged when it is scored, since nothing runs behind its sink, which publishes a batch of
up to 1,000 and waits for the broker. One sink serves both topics ("Dynamically Writing to Different Topics").
"""

from collections.abc import Iterator
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from redis import Redis

from benchmarks.peers.borrowed import SOURCE, TOPICS, Borrowed
from benchmarks.peers.one_event import Command, Position
from examples.payments.events import Payment
from featurestore.redis_store import MERGE_SCRIPT

borrowed = Borrowed.from_environment()
redis = Redis.from_url(borrowed.settings.redis)
redis.script_load(MERGE_SCRIPT)
decode = msgspec.json.Decoder(Payment).decode
encode = msgspec.json.Encoder().encode


def pipelined(commands: list[Command]) -> list[Any]:
    with redis.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return pipe.execute()


def score(message: KafkaSourceMessage[bytes, bytes]) -> Iterator[KafkaSinkMessage[bytes | None, bytes]]:
    payment = decode(message.value)
    position = Position(message.topic, message.partition, message.offset, message.timestamp[1] / 1000)
    parts = borrowed.store.parts(payment, position)
    result = borrowed.store.serve(payment, position, parts, pipelined(borrowed.store.reads(parts)))
    (prediction,) = borrowed.predictions([(payment, message.key.decode(), position)], result.served)
    pipelined(result.merges)
    yield KafkaSinkMessage(message.key, encode(prediction), topic=TOPICS.predictions)
    vector = borrowed.vector(prediction["prediction_id"], result.served)
    yield KafkaSinkMessage(None, encode(vector), topic=TOPICS.features)


brokers = [borrowed.settings.kafka]
flow = Dataflow("payments")
events = kop.input("payments", flow, brokers=brokers, topics=[SOURCE])
scored = op.flat_map("score", events.oks, score)
op.output("outputs", scored, KafkaSink(brokers, None))
