"""Payments and their outcomes as a producer sends them: each when it is known, payments and outcomes merged by event time."""

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

import msgspec

from examples.payments.events import Outcome, Payment
from examples.payments.generate import BLOCK, OUTCOME_MAX_SECONDS, Stream, outcomes, payments
from featurestore.events import contract


class Record(NamedTuple):
    """One Kafka record as a producer sends it; ``time`` is the event's, seconds since the epoch."""

    topic: str
    key: bytes
    value: bytes
    time: float


def replay_order(stream: Stream, since: float = 0.0) -> Iterator[Record]:
    """Every record from event time `since` on, of payments before it too. Drawn block by block: a stream may be endless."""
    reach = (since - OUTCOME_MAX_SECONDS - stream.start) * stream.rate
    waiting: list[Payment | Outcome] = []  # outcomes not known before the next block begins
    for block in stream.blocks(max(0, int(reach // BLOCK))):
        known = sorted([*waiting, *payments(block), *outcomes(block)], key=attrgetter("at"))
        ready = bisect_left(known, stream.start + (block.first + BLOCK) / stream.rate, key=attrgetter("at"))
        yield from _records(known[:ready], since)
        waiting = known[ready:]
    yield from _records(waiting, since)


def time_of(stream: Stream, since: float, number: int) -> float:
    """The event time of the record that `number` others precede in replay_order. Changes of a stream do not move it."""
    return next(itertools.islice(replay_order(stream, since), number, None)).time


def _records(events: list[Payment | Outcome], since: float) -> Iterator[Record]:
    encode = msgspec.json.Encoder().encode
    for event in events[bisect_left(events, since, key=attrgetter("at")) :]:
        yield Record(contract(type(event)).topic, event.user.encode(), encode(event), event.at)
