"""How the demo hears of the monitor, on a real Kafka: from a topic that is not there yet, and of what is served from now on."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, Producer

from streams.demo.drift_reader import DriftReader
from streams.demo.findings import Findings
from streams.demo.lag import LagReader
from streams.monitor.records import drift_topic, encode_drift
from streams.topics import ensure_topics, output_topic
from tests.streams.demo_records import feature, summary

SECONDS_MAX = 30.0


def publish(kafka: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(SECONDS_MAX) == 0


def found(reader: DriftReader, windows: int) -> Findings:
    deadline = time.monotonic() + SECONDS_MAX
    while reader.found.windows < windows:
        assert time.monotonic() < deadline, reader.failure
        assert reader.failure is None
        time.sleep(0.02)
    return reader.found


def test_it_reads_a_topic_that_comes_later_and_passes_over_what_is_no_record(kafka: str, unique: Callable[[str], str]) -> None:
    pipeline = unique("watched")
    began = time.time()
    reader = DriftReader(kafka, pipeline)
    reader.start()
    try:
        ensure_topics(kafka, [output_topic(drift_topic(pipeline), 1)])
        first = [encode_drift(feature("distance", "v1:a", "drift", 1.5)), b"no record", encode_drift(summary("v1:a"))]
        publish(kafka, drift_topic(pipeline), *first)
        told = found(reader, 1)
        assert [one.feature for one in told.features] == ["distance"]
        assert began - 1 < told.first_drift["distance"] == told.published < time.time() + 1
        publish(kafka, drift_topic(pipeline), encode_drift(summary("v1:b", n=7)))
        last = found(reader, 2).last
        assert last is not None
        assert (last.window, last.n) == ("v1:b", 7)
    finally:
        reader.stop()


def test_a_reader_whose_topic_never_comes_stops(kafka: str, unique: Callable[[str], str]) -> None:
    reader = DriftReader(kafka, unique("unwatched"))
    reader.start()
    reader.stop()
    assert (reader.found, reader.failure) == (Findings(), None)


def test_a_group_that_skips_begins_with_what_comes_after(
    kafka: str, make_topic: Callable[..., str], unique: Callable[[str], str]
) -> None:
    topic, group = make_topic("vectors", partitions=2), unique("group")
    publish(kafka, topic, b"of the warm-up", b"and another")
    lag = LagReader(kafka, group, [topic])
    assert lag.read().total == 2
    lag.skip()
    assert lag.read().total == 0
    lag.close()
    publish(kafka, topic, b"of the replay")
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        (message,) = consumer.consume(1, SECONDS_MAX)
        assert message.value() == b"of the replay"
    finally:
        consumer.close()
