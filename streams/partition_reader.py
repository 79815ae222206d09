"""Reads a stretch of one partition in chunks, outside any consumer group: for backfills, not for the flow."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.chunk import TP, Chunk
from streams.errors import RecordsGone, TopicError

log = logging.getLogger(__name__)

# Where a header key is not UTF-8, confluent_kafka (2.16) returns a broken list and leaves the error set. A plain call in a hot
# loop takes its word for it (CPython's specialised calls check nothing): the process fails elsewhere or crashes. This one checks.
_headers_of = methodcaller("headers")

WAIT_SECONDS = 0.2
SILENCE = 150  # waits without a record before we say that Kafka does not answer


@dataclass(frozen=True, slots=True)
class RawRecord:
    """See streams.chunk.Record."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int
    timestamp_type: int
    headers: list[tuple[str, bytes | None]]


async def read_partition(
    bootstrap_servers: str, tp: TP, start: int, end: int, size: int, headers: bool = False
) -> AsyncIterator[Chunk]:
    """The committed records with start <= offset < end, at most `size` a chunk; the next chunk is fetched meanwhile.

    Without their headers unless asked for: who does not need them is not stopped by keys that are no text.

    RecordsGone where Kafka removes records before they are read; TopicError where it does not answer.
    """
    if start >= end:
        return
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"tidegate-backfill-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
        },
        logger=log,
    )
    try:
        consumer.assign([TopicPartition(*tp, start)])
        fetch = asyncio.create_task(asyncio.to_thread(_fetch, consumer, tp, start, end, size, headers))
        try:
            while True:
                records, done = await fetch
                if not done:
                    start = records[-1].offset + 1
                    fetch = asyncio.create_task(asyncio.to_thread(_fetch, consumer, tp, start, end, size, headers))
                if records:
                    yield Chunk(tp.topic, tp.partition, records)
                if done:
                    return
        finally:
            await asyncio.wait([fetch])
    finally:
        consumer.close()


def _fetch(consumer: Consumer, tp: TP, start: int, end: int, size: int, headers: bool) -> tuple[list[Any], bool]:
    """The next records from `start` and below `end`, and whether those were the last."""
    records: list[Any] = []
    for _ in range(SILENCE):
        for message in consumer.consume(min(size, end - start), timeout=WAIT_SECONDS):
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF:
                    return records, True
                raise _failure(tp, error)
            if (offset := message.offset() or 0) >= end:
                return records, True
            records.append(_record(message, offset, headers))
        if records:
            return records, records[-1].offset == end - 1
    raise TopicError(f"{tp.topic}/{tp.partition}: Kafka sent nothing for {SILENCE * WAIT_SECONDS:.0f} s; does it answer?")


def _record(message: Any, offset: int, headers: bool) -> RawRecord:
    kind, milliseconds = message.timestamp()
    return RawRecord(message.key(), message.value(), offset, milliseconds, kind, _headers(message, offset) if headers else [])


def _headers(message: Any, offset: int) -> list[tuple[str, bytes | None]]:
    try:
        return list(_headers_of(message) or [])
    except (UnicodeDecodeError, SystemError) as error:
        # Not to be passed over: what is sent again would lack its headers.
        raise TopicError(
            f"{message.topic()}/{message.partition()} offset {offset} has a header key that is not UTF-8, which this command "
            f"cannot read; the workers can"
        ) from error


def _failure(tp: TP, error: KafkaError) -> Exception:
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        return RecordsGone(
            f"Kafka removed records of {tp.topic}/{tp.partition} before they were read; run the same command again"
        )
    return TopicError(f"{tp.topic}/{tp.partition} could not be read: {error.str()}; check KAFKA_BOOTSTRAP_SERVERS")


async def first_records(bootstrap_servers: str, tp: TP, start: int, end: int, size: int = 100) -> Chunk | None:
    """The oldest records of a partition, None where it holds none."""
    async for chunk in read_partition(bootstrap_servers, tp, start, min(end, start + size), size):
        return chunk
    return None
