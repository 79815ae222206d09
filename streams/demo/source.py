"""Which records the demo sends: the week before the replay, the months after it, and now and then one broken on purpose.

The flights of 2013 break their contract once in 690,000 records, which a minute's demo would never meet.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from streams.demo.flights import FIRST_REPLAYED, WARM_UP_DAYS, find_examples

BROKEN_EVERY = 2_000  # records: 11 in a minute at 400 a second
DAY_SECONDS = 86_400.0


class Sendable(msgspec.Struct, frozen=True):
    """A record as a producer sends it; ``broken``: no event, but something that a worker must refuse."""

    topic: str
    key: bytes | None
    value: bytes
    time: float
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """``warm_up`` fills the windows and counts for nothing; ``records`` is what follows it, to the end of the year."""

    warm_up: list[Sendable]
    records: Iterator[Sendable]


def flights_source() -> Source:
    """Reads the year, which takes seconds."""
    find_examples()
    from examples.flights import dataset

    begin = dataset.month_start(FIRST_REPLAYED)
    everything = (Sendable(*record) for record in dataset.replay_order(FIRST_REPLAYED - 1, 12))
    from_warm_up = itertools.dropwhile(lambda record: record.time < begin - WARM_UP_DAYS * DAY_SECONDS, everything)
    warm_up: list[Sendable] = []
    for record in from_warm_up:
        if record.time >= begin:
            return Source(warm_up, with_broken(itertools.chain([record], from_warm_up)))
        warm_up.append(record)
    raise AssertionError("the year ends before the replay begins")


def with_broken(records: Iterator[Sendable], every: int = BROKEN_EVERY) -> Iterator[Sendable]:
    """After each `every` records one more, spoilt in one of the ways that real producers find."""
    ways = itertools.cycle((b"", b"not JSON", b'{"flight_id": 7}', b'{"flight_id": "no other field"}'))
    for number, record in enumerate(records, 1):
        yield record
        if number % every == 0:
            yield Sendable(record.topic, record.key, next(ways), record.time, broken=True)
