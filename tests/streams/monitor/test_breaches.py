"""How many windows in a row had decisions outside the declared band: whatever crashes, and not by windows that say nothing."""

import math

from msgspec.structs import replace

from benchmarks.gauge_feed import Feed
from scorer.monitoring import Monitoring
from streams.monitor.closing import breaches
from streams.monitor.records import WindowSummary
from tests.streams.drift_world import World
from tests.streams.monitor.watched import Watched

BAND = Monitoring(window=500, minimum_events=100, decision_band=(0.3, 0.7))


def test_windows_without_a_rate_or_with_few_events_neither_count_nor_end_a_row() -> None:
    one = next(record for record in World(windows=1).records() if isinstance(record, WindowSummary))
    inside, outside, unsaid = (replace(one, decision_in_band=said) for said in (True, False, None))
    few = replace(outside, n=99), replace(inside, n=99)
    assert breaches(None, [unsaid, *few], 100) is None
    assert breaches(None, [outside], 100) == 1
    assert breaches(1, [unsaid, *few], 100) == 1
    assert breaches(1, [outside, unsaid, outside], 100) == 3
    assert breaches(3, [inside], 100) == 0


def exported(watched: Watched) -> float:
    found = watched.metrics.registry.get_sample_value("tidegate_decision_rate_breaches", {"pipeline": "gauges"})
    assert found is not None
    return found


def drained(watched: Watched, feed: Feed, windows: int, shift: float) -> float:
    """What is exported after so many windows more; scores follow the first gauge, so a shift of it moves the decisions."""
    for value in feed.values(500 * windows, shift=shift, feature=0):
        watched.log(value)
    watched.drain()
    return exported(watched)


def test_windows_outside_are_counted_until_one_is_inside() -> None:
    watched, feed = Watched(monitoring=BAND), Feed("", rows_a_record=100)
    assert math.isnan(exported(watched))
    assert [drained(watched, feed, n, shift) for n, shift in [(1, 0.0), (1, 3.0), (2, 3.0), (1, 0.0), (1, -3.0)]] == [
        0,
        1,
        3,
        0,
        1,
    ]


def test_the_next_owner_goes_on_counting() -> None:
    watched, feed = Watched(monitoring=BAND), Feed("", rows_a_record=100)
    assert drained(watched, feed, 2, 3.0) == 2
    watched.crash()
    assert math.isnan(exported(watched))  # nothing was in the checkpoint
    watched.drain()
    watched.publish()
    watched.crash()
    assert exported(watched) == 2
    assert drained(watched, feed, 1, 3.0) == 3


def test_without_a_band_nothing_is_outside() -> None:
    watched = Watched()
    assert math.isnan(drained(watched, Feed("", rows_a_record=100), 2, 3.0))
