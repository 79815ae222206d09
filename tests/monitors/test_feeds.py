"""Freshness of feeds: shares by hand, quantiles from buckets against the ages themselves, a frozen feed window by window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.feeds import age_quantile, feeds
from monitors.metrics import AGE_BUCKETS
from monitors.quality_tally import QualityTally


def tally(ages: list[list[float]], limits: tuple[float, ...] = (300.0,)) -> QualityTally:
    out, n = QualityTally(limits), len(ages)
    no = np.zeros(n, dtype=bool)
    out.add(np.arange(n, dtype=np.uint64), np.zeros(n), np.zeros(n, dtype=np.int32), np.arange(n), no, no, no, np.array(ages))
    return out


def test_shares_by_hand() -> None:
    (feed,) = feeds(tally([[10.0], [400.0], [np.nan], [20.0]]), ["users"])
    assert (feed.group, feed.missing_ratio, feed.stale_ratio, feed.youngest_age, feed.fresh) == ("users", 0.25, 0.25, 10.0, True)
    assert feeds(QualityTally((300.0,)), ["users"]) == []


def test_a_limit_of_its_own_is_kept_exactly() -> None:
    """Two hours is the bound of no bucket."""
    (feed,) = feeds(tally([[7_199.0], [7_200.0], [7_201.0]], (7_200.0,)), ["weather"])
    assert (feed.stale_ratio, feed.limit, feed.fresh) == (1 / 3, 7_200.0, True)


def test_a_frozen_feed_shows_as_the_youngest_age_growing() -> None:
    """The group's newest event was at 0; windows of 100 events a minute."""
    windows = [tally([[60.0 * w + i / 2] for i in range(100)]) for w in range(8)]
    found = [feeds(one, ["weather"])[0] for one in windows]
    youngest = [feed.youngest_age for feed in found]
    assert youngest == [60.0 * w for w in range(8)]
    assert [feed.fresh for feed in found] == [True] * 6 + [False] * 2


def test_few_ages_say_nothing_against_a_feed() -> None:
    assert feeds(tally([[400.0]] * 99), ["users"])[0].fresh is None
    assert feeds(tally([[400.0]] * 100), ["users"])[0].fresh is False
    assert feeds(tally([[np.nan]] * 100), ["users"])[0].fresh is None


@given(st.lists(st.floats(0, 1_000_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_quantiles_lie_in_the_bucket_of_the_true_one(ages: list[float], q: float) -> None:
    one = tally([[age] for age in ages])
    found = age_quantile(one.ages[0], min(ages), q)
    true = float(np.quantile(ages, q, method="inverted_cdf"))
    bounds = [0.0, *AGE_BUCKETS, np.inf]
    at = int(np.searchsorted(AGE_BUCKETS, true))
    assert found is not None
    assert bounds[at] <= found <= bounds[at + 1]
    assert found >= min(ages) or found == pytest.approx(AGE_BUCKETS[-1])
