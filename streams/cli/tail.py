"""`tidegate tail`: records of an output topic as they come."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice

import click
import msgspec
from confluent_kafka import Consumer, KafkaException

from streams.cli.errors import told_plainly
from streams.errors import StreamError
from streams.loading import load_pipeline
from streams.outputs import TopicNames
from streams.records import DeadLetter, Prediction
from streams.settings import Settings


@click.command(
    epilog="""\b
Examples:
  tidegate tail examples/flights/pipeline.py
  tidegate tail examples/flights/pipeline.py --topic dead-letters --from-beginning --count 10
  tidegate tail examples/flights/pipeline.py --json | head -100 > predictions.jsonl"""
)
@click.argument("pipeline")
@click.option(
    "--topic",
    default="predictions",
    show_default=True,
    type=click.Choice(["predictions", "dead-letters"]),
    help="Which of the pipeline's output topics.",
)
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest record that Kafka holds.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many records.")
@click.option("--seconds", type=float, help="End after so long.")
@click.option("--json", "as_json", is_flag=True, help="Print records as they are, one a line.")
def tail(pipeline: str, topic: str, from_beginning: bool, count: int | None, seconds: float | None, as_json: bool) -> None:
    """Watch what a PIPELINE publishes, until Ctrl-C."""
    with told_plainly():
        names = TopicNames.of(load_pipeline(pipeline).name)
        name = names.predictions if topic == "predictions" else names.dead_letters
        decode = _decoder(topic)
        deadline = None if seconds is None else time.monotonic() + seconds
        values = _values(Settings.from_environment(os.environ).kafka, name, from_beginning, deadline)
        for value in islice(values, count):
            click.echo(value.decode() if as_json else line(decode(value)))


def _decoder(topic: str) -> Callable[[bytes], Prediction | DeadLetter]:
    if topic == "predictions":
        return lambda value: msgspec.json.decode(value, type=Prediction)
    return lambda value: msgspec.json.decode(value, type=DeadLetter)


def line(record: Prediction | DeadLetter) -> str:
    """A record on one line, for people."""
    if isinstance(record, DeadLetter):
        where = f"{record.topic}/{record.partition} offset {record.offset}"
        return f"{_clock(record.rejected_time)}  {record.reason:<9} {where}  {record.field or ''}  {record.detail}"
    decision = "" if record.decision is None else f"  decision {record.decision}"
    flags = f"  [{', '.join(record.flags)}]" if record.flags else ""
    latency = (record.scored_time - record.ingest_time) * 1000
    return (
        f"{_clock(record.scored_time)}  {record.event_id:<28} {record.score:>10.4f}{decision}"
        f"  {record.model} v{record.model_version}  {latency:.0f} ms{flags}"
    )


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S.%f")[:-3]


def _values(bootstrap_servers: str, topic: str, from_beginning: bool, deadline: float | None) -> Iterator[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"tidegate-tail-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest" if from_beginning else "latest",
        }
    )
    try:
        if topic not in consumer.list_topics(timeout=10.0).topics:
            raise StreamError(f"there is no topic {topic} yet; start a worker: tidegate worker PIPELINE")
        consumer.subscribe([topic])
        click.echo(f"waiting for records on {topic} (Ctrl-C ends)", err=True)
        while deadline is None or time.monotonic() < deadline:
            for message in consumer.consume(500, timeout=0.2):
                if not message.error():
                    yield message.value() or b""
    except KafkaException as error:
        raise StreamError(f"{topic} could not be read: {error.args[0].str()}; check KAFKA_BOOTSTRAP_SERVERS") from error
    finally:
        consumer.close()
