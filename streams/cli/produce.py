"""`tidegate produce`: events from a file of JSON lines to the topic of their contract."""

import os
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import click
import msgspec
from confluent_kafka import Producer

from featurestore.errors import DefinitionError
from featurestore.events import Event, contract
from scorer.pipeline import Pipeline
from streams.cli.errors import told_plainly
from streams.codec import event_key
from streams.errors import StreamError
from streams.loading import load_pipeline
from streams.settings import Settings
from streams.small_topic import ERRORS_ONLY
from streams.topics import ensure_topics, output_topic


@click.command(
    epilog="""\b
Examples:
  tidegate produce pipeline.py --event Departure departures.jsonl
  tidegate produce pipeline.py --event Departure --rate 100 - < departures.jsonl
  echo '{"broken": true}' | tidegate produce pipeline.py --event Departure --no-validate -
The last one shows how a worker treats a record that breaks its contract: tidegate tail pipeline.py --topic dead-letters"""
)
@click.argument("pipeline")
@click.argument("file", type=click.File("rb"))
@click.option("--event", "name", required=True, help="The class of the events, such as Departure.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Events a second; by default as fast as Kafka takes them."
)
@click.option("--validate/--no-validate", default=True, help="Refuse the first line that breaks the contract (by default yes).")
@click.option("--partitions", default=4, show_default=True, help="Of the topic, if it is created.")
def produce(pipeline: str, file: BinaryIO, name: str, rate: float | None, validate: bool, partitions: int) -> None:
    """Send the events in FILE (a JSON object a line; - for standard input) to the topic that their contract names."""
    with told_plainly():
        event = find_event(load_pipeline(pipeline), name)
        bootstrap, topic = Settings.from_environment(os.environ).kafka, contract(event).topic
        ensure_topics(bootstrap, [output_topic(topic, partitions)])
        sent = send(bootstrap, topic, encoded(event, file, validate), rate)
    click.echo(f"{sent:,} events sent to {topic}")


def find_event(pipeline: Pipeline, name: str) -> type[Event]:
    """The event class of this name among those that the pipeline reads."""
    known = {event.__name__: event for event in [pipeline.score, pipeline.label.event, *_fed(pipeline)]}
    if name not in known:
        raise DefinitionError(f"{pipeline.name} reads no event {name!r}; choose one of {', '.join(known)}")
    return known[name]


def _fed(pipeline: Pipeline) -> list[type[Event]]:
    return [feature.event for feature in pipeline.features if hasattr(feature, "event")]


def encoded(event: type[Event], lines: BinaryIO, validate: bool) -> Iterator[tuple[bytes | None, bytes]]:
    """Key and value of each line; StreamError names the first line that breaks the contract."""
    decode = msgspec.json.Decoder(event).decode
    for number, text in enumerate(lines, 1):
        text = text.strip()
        if not text:
            continue
        try:
            yield event_key(decode(text)), text
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if validate:
                raise StreamError(
                    f"line {number} is not a {event.__name__}: {error}; --no-validate sends it all the same"
                ) from error
            yield None, text


def send(bootstrap_servers: str, topic: str, records: Iterator[tuple[bytes | None, bytes]], rate: float | None) -> int:
    """Sends everything, at most `rate` a second; returns how many the broker acknowledged, StreamError if not all."""
    settings = {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "partitioner": "murmur2_random"}
    producer = Producer(settings | {"log_level": ERRORS_ONLY})
    failures: list[str] = []

    def report(error: Any, _: Any) -> None:
        if error is not None:
            failures.append(str(error))

    sent, started = 0, time.monotonic()
    for key, value in records:
        while True:
            try:
                producer.produce(topic, key=key, value=value, on_delivery=report)
                break
            except BufferError:
                producer.poll(0.1)
        sent += 1
        producer.poll(0)
        if rate is not None and (ahead := started + sent / rate - time.monotonic()) > 0:
            time.sleep(ahead)
    if producer.flush(30.0) or failures:
        raise StreamError(f"not every event reached {topic}: {'; '.join(failures[:3]) or 'Kafka did not answer in 30 s'}")
    return sent
