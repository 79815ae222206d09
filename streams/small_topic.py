"""Our own small topics: one partition, a record a change, kept for ever, read from the beginning to the end they have now."""

import logging
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streams.errors import StreamError
from streams.topics import TopicSpec

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20.0
RETRY_SECONDS = 0.05
POLL_SECONDS = 1.0  # at most, where nothing comes: between two looks at the deadline
PASSING = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART})
ERRORS_ONLY = 3  # librdkafka's syslog level: its warnings are about what it tries again by itself

T = TypeVar("T")


def kept_topic(name: str) -> TopicSpec:
    """One partition keeps the changes in order; they are an audit trail, so nothing is ever removed."""
    return TopicSpec(name, 1, {"cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "LogAppendTime"})


def read_all(
    bootstrap_servers: str,
    topic: str,
    decode: Callable[[bytes], T],
    unreadable: type[Exception],
    failure: type[StreamError],
) -> list[T]:
    """Every record of the topic, in order; what `decode` refuses as `unreadable` is logged and skipped; else raises `failure`."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"{topic.replace('.', '-')}-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        },
        logger=log,
    )
    records: list[T] = []
    try:
        for offset, value in _values(consumer, topic, failure):
            try:
                records.append(decode(value))
            except unreadable as error:
                log.warning("%s offset %s: %s", topic, offset, error)
        return records
    except KafkaException as error:
        raise failure(f"{topic} could not be read: {error.args[0].str()}; check KAFKA_BOOTSTRAP_SERVERS") from error
    finally:
        consumer.close()


def _values(consumer: Consumer, topic: str, failure: type[StreamError]) -> list[tuple[int, bytes]]:
    partition = TopicPartition(topic, 0, OFFSET_BEGINNING)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    end = _end(consumer, partition, deadline)
    values: list[tuple[int, bytes]] = []
    if end == 0:
        return values
    consumer.assign([partition])
    while (position := consumer.position([partition])[0].offset) < end:
        if time.monotonic() > deadline:
            raise failure(f"{topic} was read up to {position} of {end} in {TIMEOUT_SECONDS:.0f} s; is Kafka overloaded?")
        message = consumer.poll(POLL_SECONDS)  # consume(n) would wait for n records, which a small topic does not have
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        values.append((message.offset() or 0, message.value() or b""))
    return values


def _end(consumer: Consumer, partition: TopicPartition, deadline: float) -> int:
    """The partition's end offset. A topic just created has no leader for a moment, which passes."""
    while True:
        try:
            return int(consumer.get_watermark_offsets(partition, timeout=TIMEOUT_SECONDS)[1])
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def append(
    bootstrap_servers: str,
    topic: str,
    key: str,
    value: bytes,
    failure: type[StreamError],
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> None:
    """Writes a record and waits until every replica has it; raises `failure` otherwise."""
    failures: list[str] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "acks": "all", "log_level": ERRORS_ONLY}, logger=log
    )

    def report(error: object, _: object) -> None:
        if error is not None:
            failures.append(str(error))

    producer.produce(topic, key=key, value=value, on_delivery=report)
    unsent = producer.flush(timeout_seconds)
    if unsent or failures:
        raise failure(f"a record was not written to {topic}: {'; '.join(failures) or 'no answer from Kafka'}")
