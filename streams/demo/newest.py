"""How far in event time the topics of a story are: where a producer that was stopped goes on."""

import asyncio
import math
from collections.abc import Sequence

import msgspec

from featurestore.events import Event, contract
from streams.chunk import TP
from streams.partition_reader import read_partition
from streams.topic_facts import TopicFacts

TAIL_RECORDS = 100  # of each partition: broken records and copies of old ones, sent by others, do not hide the newest event


def newest_event(bootstrap_servers: str, events: Sequence[type[Event]]) -> float:
    """The latest event time among the last records of each partition, seconds since the epoch; -inf where there is none."""
    return asyncio.run(_newest(bootstrap_servers, events))


async def _newest(bootstrap_servers: str, events: Sequence[type[Event]]) -> float:
    facts, newest = TopicFacts(bootstrap_servers), -math.inf
    for event in events:
        tps = facts.partitions([contract(event).topic])
        firsts, ends = facts.firsts(tps), facts.ends(tps)
        for tp in tps:
            start = max(firsts[tp], ends[tp] - TAIL_RECORDS)
            newest = max(newest, await _newest_of(bootstrap_servers, event, tp, start, ends[tp]))
    return newest


async def _newest_of(bootstrap_servers: str, event: type[Event], tp: TP, start: int, end: int) -> float:
    decode, time, newest = msgspec.json.Decoder(event).decode, contract(event).time, -math.inf
    async for chunk in read_partition(bootstrap_servers, tp, start, end, TAIL_RECORDS):
        for record in chunk.records:
            try:
                newest = max(newest, getattr(decode(record.value or b""), time))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return newest
