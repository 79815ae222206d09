"""The oracle for millions says what the whole oracle says, and sees what is wrong."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from featurestore import offline
from featurestore.events import EventBatch
from streams.chunk import Chunk
from streams.codec import Decoder
from tests.faults.bulk import TOPIC, Bulk
from tests.faults.model import plan_of
from tests.faults.outputs import NONE, Column, Partition
from tests.faults.pipeline import Scored
from tests.faults.sampling import Sample, growth
from tests.faults.sources import Raw
from tests.faults.totals import Totals

EVENTS, PARTITIONS, SKEW = 600, 3, 300.0
START = 1_700_000_000.0


def chunks(size: int) -> list[Chunk]:
    """A small bulk as records by partition, cut into chunks; the hand-written JSON passes the decoder."""
    records: dict[int, list[Any]] = {partition: [] for partition in range(PARTITIONS)}
    for partitions, times, keys, values in Bulk(EVENTS, PARTITIONS, 2.0, START, hot=0.3).blocks():
        for partition, at, key, value in zip(partitions, times, keys, values, strict=True):
            records[partition].append(Raw(key, value, len(records[partition]), int(at * 1000), 0))
    return [Chunk(TOPIC, p, found[i : i + size]) for p, found in records.items() for i in range(0, len(found), size)]


@pytest.fixture
def totals() -> Totals:
    made = Totals(plan_of(), SKEW)
    for chunk in chunks(37):
        made.take(chunk)
    return made


def faultless(totals: Totals) -> Any:
    """What a worker without a fault would have published."""
    partitions = {}
    for number, column in totals.numbers.items():
        partition = partitions[number] = Partition()
        for offset, event in enumerate(column.values):
            partition.event[offset] = event
            partition.seen_least[offset] = partition.seen_most[offset] = float(offset)
    return SimpleNamespace(partitions=partitions, letters={})


def test_states_are_those_of_an_uninterrupted_run(totals: Totals) -> None:
    batches: list[EventBatch] = [Decoder(Scored, SKEW)(chunk)[0] for chunk in chunks(10_000)]
    expected = offline.compute(plan_of(), batches).states
    assert totals.states() == expected
    assert sum(map(len, expected.values())) > 100
    assert totals.events == EVENTS


def test_nothing_is_wrong_where_nothing_is(totals: Totals) -> None:
    assert totals.verify(totals.states(), faultless(totals)) == []


def test_every_kind_of_violation_is_told(totals: Totals) -> None:
    outputs, states = faultless(totals), totals.states()
    group, id = "place", b"p0"
    states[group][id] = states[group][id][:-8] + np.float64(1e6).tobytes()
    outputs.partitions[0].event[3] = NONE
    outputs.partitions[1].seen_most[4] = 5.0
    outputs.partitions[2].seen_least[5] = 4.0
    outputs.partitions[2].event[len(totals.numbers[2].values)] = 7
    outputs.letters[TOPIC, 0, 0] = ["future"]
    found = totals.verify(states, outputs)
    for words in ("group place", "not predicted", "own event", "missed an earlier", "no accepted event", "dead letter"):
        assert any(words in text for text in found), (words, found)


def test_growth_is_that_of_the_line_after_the_warm_up() -> None:
    """A leak of a tenth of a MiB a second shows; a step in the warm-up does not."""
    leaking = [Sample(float(t), 300 + 0.1 * t, 9, 9, 9.0, {}) for t in range(1000)]
    stepping = [Sample(float(t), 100.0 if t < 100 else 300.0, 9, 9, 9.0, {}) for t in range(1000)]
    assert growth(leaking, "rss_mib") == pytest.approx(80, rel=0.01)
    assert growth(stepping, "rss_mib") == pytest.approx(0, abs=1e-6)


def test_a_column_grows_with_its_default() -> None:
    column = Column("q", NONE)
    column[3] = 5
    assert list(column.values) == [NONE, NONE, NONE, 5]
