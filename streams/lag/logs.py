"""Partitions as their leaders tell of them: where each log begins and ends; and what their topics are configured to keep."""

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.offset import OffsetRequest

from streams.chunk import TP
from streams.lag.connection import PASSING, Connection, by_topic

EARLIEST, LATEST = -2, -1  # ListOffsets' own times for a log's two ends
ANY_REPLICA = -1
UNCOMMITTED = 0  # up to the last record written, whatever becomes of its transaction
TOPIC = 2  # DescribeConfigs' number for a topic
ASKED = ["cleanup.policy", "retention.ms", "retention.bytes", "message.timestamp.type"]


@dataclass(frozen=True, slots=True)
class Log:
    """The offsets of the oldest record and of the next one."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """``retention_seconds`` is infinite where nothing is deleted, None where that is not known from age."""

    retention_seconds: float | None = None
    producer_time: bool = False


async def logs(connection: Connection, tps: Collection[TP]) -> dict[TP, Log]:
    """Both ends of every partition whose leader answers."""
    leaders = connection.by_leader(tps)
    answers = await asyncio.gather(*(_of_node(connection, node, ones) for node, ones in leaders.items()))
    return {tp: log for answer in answers for tp, log in answer.items()}


async def _of_node(connection: Connection, node: int, tps: list[TP]) -> dict[TP, Log]:
    try:
        starts = await _offsets(connection, node, tps, EARLIEST)
        ends = await _offsets(connection, node, tps, LATEST)  # after the starts, so that no log seems to end before it begins
    except PASSING:
        return {}
    return {tp: Log(starts[tp], end) for tp, end in ends.items() if tp in starts}


async def _offsets(connection: Connection, node: int, tps: list[TP], time: int) -> dict[TP, int]:
    asked = [(topic, [(p, time) for p in partitions]) for topic, partitions in by_topic(tps).items()]
    answer = await connection.send(node, OffsetRequest(ANY_REPLICA, UNCOMMITTED, asked))
    return {TP(topic, p): offset for topic, ps in answer.topics for p, error, _, offset, *_ in ps if not error and offset >= 0}


async def settings(connection: Connection, topics: Iterable[str]) -> dict[str, TopicSettings]:
    """Of every topic that Kafka will tell of; without the right to read them, of none."""
    resources = [(TOPIC, topic, ASKED) for topic in topics]
    if not resources:
        return {}
    answer = await connection.send(connection.nodes[0], DescribeConfigsRequest(resources))
    return {
        name: _settings({entry[0]: entry[1] for entry in entries}) for error, _, _, name, entries in answer.resources if not error
    }


def _settings(configs: Mapping[str, str]) -> TopicSettings:
    return TopicSettings(_retention_seconds(configs), configs.get("message.timestamp.type") == "CreateTime")


def _retention_seconds(configs: Mapping[str, str]) -> float | None:
    if "delete" not in configs.get("cleanup.policy", "delete"):
        return math.inf
    milliseconds = int(configs.get("retention.ms", -1))
    if milliseconds >= 0:
        return milliseconds / 1000
    return math.inf if int(configs.get("retention.bytes", -1)) < 0 else None
