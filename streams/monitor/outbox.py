"""Publishing what was judged, once: after a crash, what the topic has already is not sent again."""

import contextlib
import time
from collections.abc import Sequence

import msgspec
from confluent_kafka import Consumer, TopicPartition

from streams.errors import MonitorStateError
from streams.monitor.records import decode_drift
from streams.monitor.state import Entry
from streams.publisher import Outgoing

TAIL_RECORDS = 2_000  # and twice what may be there already: markers of transactions are none of ours, but take offsets
TIMEOUT_SECONDS = 30.0


def batch(topic: str, records: Sequence[Entry]) -> Outgoing:
    """The records for the publisher, keyed by feature."""
    return Outgoing(topic, [record.key.encode() for record in records], [record.value for record in records])


def missing(bootstrap_servers: str, topic: str, records: Sequence[Entry]) -> list[Entry]:
    """Those of the records whose ids are not among the last ones of the topic, which has one partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": f"{topic}.outbox", "enable.auto.commit": False})
    try:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=TIMEOUT_SECONDS)
        begin = max(first, end - TAIL_RECORDS - 2 * len(records))
        consumer.assign([TopicPartition(topic, 0, begin)])
        there = _ids(consumer, topic, end) if begin < end else set()
    finally:
        consumer.close()
    return [record for record in records if record.id not in there]


def _ids(consumer: Consumer, topic: str, end: int) -> set[str]:
    found: set[str] = set()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while consumer.position([TopicPartition(topic, 0)])[0].offset < end:
        if time.monotonic() > deadline:
            raise MonitorStateError(f"the end of {topic} was not read within {TIMEOUT_SECONDS:.0f} s; is Kafka overloaded?")
        for message in consumer.consume(1_000, timeout=0.2):
            if not message.error() and message.value():
                with contextlib.suppress(msgspec.DecodeError):  # not ours
                    found.add(decode_drift(message.value()).drift_id)
    return found
