"""Each check fails where its fault is and stays silent where chance explains what it sees, in small windows too."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from monitors import quality
from monitors.hashing import hash_strings
from monitors.quality import CHECKS, Check, FeatureFacts, Volume, chance, checks, score
from monitors.quality_tally import QualityTally

LATENESS = 60.0
FINE = FeatureFacts(
    name="amount",
    category=False,
    n=1_000,
    effective_n=None,
    counts=np.full(10, 100),
    missing=0,
    below=0,
    above=0,
    unseen=0,
    lowest=1.0,
    highest=99.0,
    reference_counts=np.full(10, 500),
    reference_missing=0.0,
    reference_unseen=0.0,
)
SHOP = replace(FINE, name="shop", category=True)


def window(n: int = 1_000, ids: list[str] | None = None, times: list[float] | None = None, age: float = 10.0) -> QualityTally:
    """n events of one partition a second apart, one group of 300 s."""
    tally, no = QualityTally([300.0]), np.zeros(n, dtype=bool)
    hashes = hash_strings(pa.array(ids or [f"e{i}" for i in range(n)], pa.string()))
    at = np.array(times or range(n), dtype=np.float64)
    tally.add(hashes, at, np.zeros(n, dtype=np.int32), np.arange(n), no, no, no, np.full((n, 1), age))
    return tally


def judged(
    name: str,
    feature: FeatureFacts = FINE,
    tally: QualityTally | None = None,
    volume: Volume | None = None,
    sampled: float = 1.0,
) -> Check:
    found = checks([feature], window() if tally is None else tally, ["g"], LATENESS, volume, sampled)
    (check,) = [check for check in found if check.check == name]
    return check


def test_a_sound_window_passes_every_check() -> None:
    found = checks(
        [FINE, SHOP], window(), ["g"], LATENESS, Volume(events=90, seconds=600, last_week_events=100, last_week_seconds=600)
    )
    assert [check.text for check in found if not check.passed] == []
    assert {check.check for check in found} == set(CHECKS)
    assert score(found) == 1.0


@pytest.mark.parametrize("kind", ["type", "range"])
def test_refused_records(kind: str) -> None:
    def tally(n: int, refused: int) -> QualityTally:
        out = window(n)
        out.reject(kind, refused)
        return out

    def of(found: list[Check]) -> Check:
        return next(check for check in found if check.check == kind and check.subject is None)

    assert of(checks([], tally(1_000, 5), ["g"], LATENESS)).passed is True
    assert of(checks([], tally(1_000, 40), ["g"], LATENESS)).passed is False
    assert of(checks([], tally(20, 1), ["g"], LATENESS)).passed is True  # 5 % of few
    assert of(checks([], tally(1_000, 40), ["g"], LATENESS, sampled=0.1)).passed is True  # of 10,000


@pytest.mark.parametrize(
    ("check", "sound", "faulty"),
    [
        ("missing", replace(FINE, missing=50), replace(FINE, missing=120)),
        ("missing", replace(FINE, missing=500, reference_missing=0.5), replace(FINE, missing=500, reference_missing=0.3)),
        ("missing", replace(FINE, n=10, missing=2), replace(FINE, n=10, missing=8)),
        ("missing", replace(FINE, missing=120, effective_n=20.0), replace(FINE, missing=400, effective_n=20.0)),
        ("unseen", replace(SHOP, unseen=15), replace(SHOP, unseen=100)),
        ("unseen", replace(SHOP, unseen=100, reference_unseen=0.09), replace(SHOP, unseen=150, reference_unseen=0.09)),
        ("unseen", replace(SHOP, n=10, unseen=1), replace(SHOP, n=10, unseen=5)),
        ("constant", replace(FINE, lowest=5.0, highest=5.1), replace(FINE, lowest=5.0, highest=5.0)),
    ],
)
def test_a_feature(check: str, sound: FeatureFacts, faulty: FeatureFacts) -> None:
    assert judged(check, sound).passed is True
    found = judged(check, faulty)
    assert found.passed is False
    assert found.subject == faulty.name
    assert faulty.name in found.text


@pytest.mark.parametrize(("below", "above", "n", "passed"), [(20, 20, 1_000, True), (0, 300, 1_000, False), (1, 1, 10, True)])
def test_values_outside_the_range_of_training(below: int, above: int, n: int, passed: bool) -> None:
    found = checks([replace(FINE, n=n, below=below, above=above)], window(), ["g"], LATENESS)
    (check,) = [check for check in found if (check.check, check.subject) == ("range", "amount")]
    assert check.passed is passed


def test_values_that_are_all_the_same_by_chance_or_by_nature() -> None:
    same = replace(FINE, lowest=5.0, highest=5.0, counts=np.array([1_000, *[0] * 9]))
    assert judged("constant", same).passed is False
    assert judged("constant", replace(same, n=2)).passed is None  # one in ten, twice
    mostly = np.array([9_990, *[1] * 9])
    assert judged("constant", replace(same, n=100, reference_counts=mostly)).passed is None
    assert judged("constant", replace(same, effective_n=1.5)).passed is None  # the day of the week
    assert judged("constant", replace(same, reference_counts=np.array([5_000, *[0] * 9]))).passed is None  # and at training


def test_a_feed_that_stands_still() -> None:
    assert judged("frozen_feed", tally=window(age=299.0)).passed is True
    stood = judged("frozen_feed", tally=window(age=4_000.0))
    assert (stood.passed, stood.value, stood.limit, stood.subject) == (False, 4_000.0, 300.0, "g")
    assert judged("frozen_feed", tally=window(n=50, age=4_000.0)).passed is None
    assert judged("frozen_feed", tally=window(age=np.nan)).passed is None


def test_event_times_out_of_order() -> None:
    def every(n: int, step: int, back: float) -> QualityTally:
        return window(n, times=[float(i) - (back if i % step == 0 else 0.0) for i in range(1, n + 1)])

    assert judged("monotone_time", tally=every(1_000, 10, 50.0)).passed is True  # within the lateness
    assert judged("monotone_time", tally=every(1_000, 500, 900.0)).passed is True  # a straggler
    assert judged("monotone_time", tally=every(1_000, 10, 900.0)).passed is False
    assert judged("monotone_time", tally=every(20, 10, 900.0)).passed is True


def test_ids_that_come_again() -> None:
    def repeated(n: int, times: int) -> QualityTally:
        return window(n, ids=[f"e{i}" for i in range(n - times)] + [f"e{i}" for i in range(times)])

    assert judged("duplicate_id", tally=repeated(1_000, 5)).passed is True
    assert judged("duplicate_id", tally=repeated(1_000, 50)).passed is False
    assert judged("duplicate_id", tally=repeated(50_000, 2_000)).passed is False
    assert judged("duplicate_id", tally=repeated(20, 1)).passed is True


@pytest.mark.parametrize(
    ("now", "then", "passed", "limit"),
    [(1_000, 1_200, True, 0.5), (300, 1_200, False, 0.5), (3_000, 1_200, False, 2.0), (2, 6, True, 0.5), (0, 40, False, 0.5)],
)
def test_volume_against_last_week(now: int, then: int, passed: bool, limit: float) -> None:
    volume = Volume(events=now, seconds=3_600, last_week_events=then, last_week_seconds=3_600)
    found = judged("volume", volume=volume)
    assert (found.passed, found.limit, found.value) == (passed, limit, now / then)
    third = replace(volume, seconds=1_200)  # the hour is not over
    assert judged("volume", volume=third).value == pytest.approx(3 * now / then)


def test_volume_is_unknown_in_the_first_week_and_for_a_moment() -> None:
    assert judged("volume").passed is None
    assert judged("volume", volume=Volume(events=9, seconds=600, last_week_events=0, last_week_seconds=60)).passed is None
    burst = Volume(events=900, seconds=60, last_week_events=1_000, last_week_seconds=3_600)
    assert judged("volume", volume=burst).passed is None


def test_a_window_without_events_judges_nothing_and_has_no_score() -> None:
    empty = replace(FINE, n=0, counts=np.zeros(10, dtype=int), lowest=np.nan, highest=np.nan)
    found = checks([empty, replace(empty, category=True)], QualityTally([300.0]), ["g"], LATENESS)
    assert {check.passed for check in found} == {None}
    assert score(found) is None


def test_the_score_is_the_share_of_what_was_judged() -> None:
    found = checks([replace(FINE, missing=900)], window(), ["g"], LATENESS)
    passed = sum(check.passed is True for check in found)
    assert score(found) == passed / (passed + 1)  # volume is unknown


@given(st.integers(1, 500), st.integers(0, 500), st.floats(0.001, 0.999))
def test_the_tail_is_the_binomials(n: int, x: int, p: float) -> None:
    x = min(x, n)
    assert chance(x, n, p) == pytest.approx(float(binom.sf(x - 1, n, p)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [20, 100, 1_000])
def test_windows_at_their_limit_fail_no_more_often_than_stated(n: int) -> None:
    """Every event missing with just the limit's probability, the worst case that is in order: exact, over all outcomes."""
    limit = quality.MISSING_MARGIN
    fails = [judged("missing", replace(FINE, n=n, missing=x)).passed is False for x in range(n + 1)]
    assert float(binom.pmf(np.arange(n + 1), n, limit)[fails].sum()) <= quality.LEVEL
