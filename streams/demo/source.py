"""The records that the demo sends: what fills the windows, what is replayed, and now and then one broken on purpose.

The flights of 2013 break their contract once in 690,000 records, which a minute's demo would never meet.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

BROKEN_EVERY = 2_000  # records: 11 in a minute at 400 a second


class Sendable(msgspec.Struct, frozen=True):
    """A record as a producer sends it; ``broken``: no event, but something that a worker must refuse.

    ``withheld``: its time passes, but it is not sent; of a feed that stopped.
    """

    topic: str
    key: bytes | None
    value: bytes
    time: float
    broken: bool = False
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """``warm_up`` fills the windows and counts for nothing; ``records`` is what follows it, from event time ``begin`` on."""

    warm_up: list[Sendable]
    records: Iterator[Sendable]
    begin: float

    @classmethod
    def cut(cls, records: Iterable[Sendable], begin: float) -> "Source":
        """Records in order of time, cut at `begin`; all before it are drawn now."""
        rest = iter(records)
        warm_up: list[Sendable] = []
        for record in rest:
            if record.time >= begin:
                return cls(warm_up, itertools.chain([record], rest), begin)
            warm_up.append(record)
        raise ValueError("no record is left to be replayed")


def with_broken(records: Iterator[Sendable], consumed: Sequence[str], every: int = BROKEN_EVERY) -> Iterator[Sendable]:
    """After each `every` records one more, spoilt in one of the ways that real producers find.

    On the same topic; where workers do not consume that, on the first that they do.
    """
    ways = itertools.cycle((b"", b"not JSON", b'["no object"]', b'{"no": "field of it"}'))
    for number, record in enumerate(records, 1):
        yield record
        if number % every == 0:
            topic = record.topic if record.topic in consumed else consumed[0]
            yield Sendable(topic, record.key, next(ways), record.time, broken=True)


def sound_before(number: int, every: int = BROKEN_EVERY) -> int:
    """How many of the first `number` records of with_broken are not broken.

    >>> sound_before(2_002), sound_before(2_001), sound_before(2_000)
    (2001, 2000, 2000)
    """
    return number - number // (every + 1)
