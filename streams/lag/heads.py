"""When the oldest record that a group has before it was appended: one small read of each partition that lags.

Read by bare Fetch requests, many partitions in one, which join nothing and move no position. A record that is not there, because
compaction took it or a transaction's marker has its offset, is stood for by the next one; what a transaction took back is passed
over. Records of a transaction that is still open count: they wait, whoever is to blame. Where nothing but markers is left,
nothing waits. A batch that cannot be decoded has its newest record's time in its header; where the broker sets times, that is
the time of all its records.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record import MemoryRecords
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord

from streams.chunk import TP
from streams.lag.connection import PASSING, Connection

READ_UNCOMMITTED, READ_COMMITTED = 0, 1
PARTITION_BYTES = 64 * 1024  # a batch of a producer at its defaults has 16 KiB
AT_ONCE = 64  # partitions in a request: 4 MiB at most
ROUNDS = 20  # of requests for one partition in a look; one that has more markers on end is tried further in the next look


@dataclass(frozen=True, slots=True)
class Head:
    """Whether a record waits at or after an offset and before ``until``, and since when: seconds, None if it has no time."""

    waits: bool
    timestamp: float | None
    until: int


@dataclass(slots=True)
class _Search:
    """One partition's read: from where it goes on, and how."""

    position: int
    end: int
    isolation: int = READ_COMMITTED
    alone: bool = False  # the next batch is larger than PARTITION_BYTES: Kafka hands it out only to who asks for nothing else
    head: Head | None = None


async def heads(connection: Connection, wanted: Mapping[TP, tuple[int, int]]) -> dict[TP, Head]:
    """The head of each partition, by the offset to begin at and the log's end; one that does not answer is left out."""
    leaders = connection.by_leader(list(wanted))
    answers = await asyncio.gather(*(_of_node(connection, n, {tp: wanted[tp] for tp in tps}) for n, tps in leaders.items()))
    return {tp: head for answer in answers for tp, head in answer.items()}


async def _of_node(connection: Connection, node: int, wanted: Mapping[TP, tuple[int, int]]) -> dict[TP, Head]:
    searches = {tp: _Search(offset, end) for tp, (offset, end) in wanted.items()}
    open_ = dict(searches)
    try:
        for _ in range(ROUNDS):
            for part in _parts(open_):
                await _fetch(connection, node, part)
            open_ = {tp: search for tp, search in open_.items() if search.head is None}
            if not open_:
                break
    except PASSING:
        pass  # what was found is good; the rest is asked for in the next look
    return {tp: search.head for tp, search in searches.items() if search.head is not None}


def _parts(searches: Mapping[TP, _Search]) -> list[dict[TP, _Search]]:
    """Those that may share a request: by isolation, in bounded numbers, large batches each alone."""
    parts = [{tp: one} for tp, one in searches.items() if one.alone]
    for isolation in (READ_COMMITTED, READ_UNCOMMITTED):
        shared = [(tp, one) for tp, one in searches.items() if not one.alone and one.isolation == isolation]
        parts += [dict(shared[i : i + AT_ONCE]) for i in range(0, len(shared), AT_ONCE)]
    return parts


async def _fetch(connection: Connection, node: int, searches: Mapping[TP, _Search]) -> None:
    topics: dict[str, list[tuple[int, int, int]]] = {}
    for tp, search in searches.items():
        topics.setdefault(tp.topic, []).append((tp.partition, search.position, PARTITION_BYTES))
    isolation = next(iter(searches.values())).isolation
    request = FetchRequest(
        max_wait_time=0,
        min_bytes=0,
        max_bytes=AT_ONCE * PARTITION_BYTES,
        isolation_level=isolation,
        topics=list(topics.items()),
    )
    answer = await connection.send(node, request)
    for topic, partitions in answer.topics:
        for partition, error, high_watermark, stable, *_, aborted, _, records in map(_in_order, partitions):
            if not error:
                _read(searches[TP(topic, partition)], high_watermark, stable, aborted or [], records or b"")


def _in_order(told: Any) -> Any:
    """A partition of Fetch's answer as its 11th version has it, whose last but one field older ones lack."""
    return told if len(told) == 8 else (*told[:-1], -1, told[-1])


def _read(search: _Search, high_watermark: int, stable: int, aborted: list[tuple[int, int]], records: bytes) -> None:
    """Takes one partition's answer in: its head is found, or where to go on."""
    before = search.position
    milliseconds, search.position = first_record(records, before, aborted if search.isolation == READ_COMMITTED else [])
    if milliseconds is not None:
        search.head = Head(True, milliseconds / 1000 if milliseconds >= 0 else None, search.end)
    elif search.position >= min(search.end, high_watermark):
        search.head = Head(False, None, search.position)
    elif search.position == before and search.isolation == READ_COMMITTED and before >= stable:
        search.isolation = READ_UNCOMMITTED  # the rest is of transactions still open
    elif search.position == before:
        search.alone = True


def first_record(records: bytes, offset: int, aborted: list[tuple[int, int]]) -> tuple[int | None, int]:
    """The time of the first record from `offset` on (milliseconds; -1: it has none), and where to read on if there is none.

    `aborted` are producers, with the first offset of a transaction each, as Fetch answers: their records are passed over.
    """
    found = MemoryRecords(records)
    waiting = sorted(aborted, key=lambda one: one[1])
    taken_back: set[int] = set()
    while found.has_next():
        batch = found.next_batch()
        while waiting and waiting[0][1] <= batch.base_offset:
            taken_back.add(waiting.pop(0)[0])
        if batch.is_control_batch:
            if (marker := next(iter(batch), None)) is not None and ControlRecord.parse(marker.key) == ABORT_MARKER:
                taken_back.discard(batch.producer_id)
        elif not (batch.is_transactional and batch.producer_id in taken_back):
            milliseconds = _time_in(batch, offset)
            if milliseconds is not None:
                return milliseconds, offset
        offset = max(offset, batch.next_offset)
    return None, offset


def _time_in(batch: Any, offset: int) -> int | None:
    """The time of a batch's first record from `offset` on; None where it has no such record."""
    try:
        return next((-1 if record.timestamp is None else record.timestamp for record in batch if record.offset >= offset), None)
    except (UnicodeDecodeError, KafkaError):  # header keys that are no UTF-8, a codec that is not installed
        return int(batch.max_timestamp) if batch.next_offset > offset else None
