"""The acceptance's own truth of lag: what it would call wrong, and what it excuses."""

import pytest

from benchmarks.accept.lag_traffic import Position, Traffic
from streams.chunk import TP

WHERE = TP("topic", 0)


@pytest.fixture
def traffic() -> Traffic:
    """Records appended at 100, 110 and 120 s; offset 1 committed at 130 s, offset 3 between 140 and 141 s. No Kafka is asked."""
    made = Traffic("127.0.0.1:1")
    made.appended[WHERE] = [100.0, 110.0, 120.0]
    made.positions["group", WHERE] = Position([(90.0, 90.1, 0), (130.0, 130.1, 1), (140.0, 141.0, 3)])
    return made


@pytest.mark.parametrize(
    ("shown", "begin", "end", "off"),
    [
        (25.0, 134.9, 135.0, 0.0),  # the record at offset 1 is 25 s old
        (15.0, 134.9, 135.0, 10.0),  # of the next record
        (0.0, 134.9, 135.0, 25.0),
        (30.5, 140.4, 140.5, 0.0),  # the commit of 3 is under way: before it
        (0.0, 140.4, 140.5, 0.0),  # or after it
        (31.0, 150.0, 150.1, 31.0),  # caught up long since
        (0.0, 99.0, 99.5, 0.0),  # nothing was appended yet
    ],
)
def test_difference_from_the_truth(traffic: Traffic, shown: float, begin: float, end: float, off: float) -> None:
    assert traffic.difference("group", WHERE, shown, begin, end) == pytest.approx(off)
