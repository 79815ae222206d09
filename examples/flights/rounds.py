"""The flights of 2013 over and over, each round a year later: for who wants records for longer than a year of them lasts.

A round is 52 weeks, so that weekdays stay what they are: the day after 30 December is a Tuesday, as New Year's
Day was. What lies behind the cut (the last day, the night's landings) is left out.
"""

import itertools
from collections.abc import Iterator

import msgspec

from examples.flights import dataset
from featurestore.events import contract

ROUND_SECONDS = 52 * 7 * 86_400.0

_CONTRACTS = {contract(event).topic: contract(event) for event in dataset.TOPICS}


def endless(after: float) -> Iterator[dataset.Record]:
    """Every record later than event time `after` (seconds since the epoch), by event time, from 2013 on, without an end.

    Ids are the year's own in 2013 and have the round's number behind them afterwards ("...+1"): no id comes twice.
    """
    begin = dataset.month_start(1)
    for number in itertools.count(max(0, int((after - begin) // ROUND_SECONDS))):
        shift = number * ROUND_SECONDS
        for record in dataset.replay_order():
            if record.time >= begin + ROUND_SECONDS:
                break
            if record.time + shift > after:
                yield _moved(record, number, shift) if number else record


def _moved(record: dataset.Record, number: int, shift: float) -> dataset.Record:
    """As JSON, so that a record which breaks its contract does so in every round."""
    agreed, event = _CONTRACTS[record.topic], msgspec.json.decode(record.value)
    event[agreed.id] = f"{event[agreed.id]}+{number}"
    event[agreed.time] += shift
    return record._replace(value=msgspec.json.encode(event), time=record.time + shift)
