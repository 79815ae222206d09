"""A profile can be made of any rows, is the same for the same ones, and is JSON."""

import numpy as np
import pytest

from benchmarks.accept import drift_streams as streams
from monitors.drift.detectable import EXCESS_ALARM, Q_ALARM
from monitors.drift.judge import Judgement
from monitors.drift.profile import PREDICTIONS, FeatureProfile, Profile
from monitors.drift.reference import Windows, build_profile
from monitors.drift.statistics import Floats
from monitors.drift.window import EVENTS_LEAST, EVENTS_MOST

NAN, INF = float("nan"), float("inf")


def suspicious(one: Judgement) -> bool:
    """Whether the window alone fulfils both conditions."""
    return one.q is not None and one.q < Q_ALARM and (one.psi_excess or 0) > EXCESS_ALARM


def of(column: Floats) -> FeatureProfile:
    return streams.numbers(np.asarray(column, dtype=np.float64)[:, None], Windows(events=100)).features[0]


def test_it_comes_back_from_its_bytes_and_its_id_is_of_its_content() -> None:
    profile = streams.numbers(streams.values(10_000, 3))
    assert Profile.decode(profile.encode()) == profile
    assert profile.id == streams.numbers(streams.values(10_000, 3)).id != streams.numbers(streams.values(10_000, 3, seed=2)).id
    assert profile.names == ["f0", "f1", "f2", *PREDICTIONS]
    assert (profile.rows, profile.first, profile.last) == (10_000, 0.0, 9_999.0)


def test_moments_and_extremes_are_of_finite_values() -> None:
    values = np.array([1.0, 3.0, NAN, INF, -INF, 5.0] * 500)
    feature = of(values)
    assert (feature.lowest, feature.highest, feature.mean, feature.m) == (1.0, 5.0, 3.0, 3_000)
    assert feature.sd == pytest.approx(np.std([1.0, 3.0, 5.0]))
    assert feature.counts[-1] == 500


@pytest.mark.parametrize(
    "column",
    [
        np.full(3_000, 7.0),
        np.full(3_000, NAN),
        np.full(3_000, INF),
        np.array([1e308, -1e308] * 1_500),
        np.r_[np.full(2_999, NAN), 1.0],
        np.array([1.0]),
        np.array([NAN]),
        np.arange(30.0),
        np.array([0.0, -0.0, 5e-324] * 1_000),
    ],
)
def test_odd_columns_make_profiles_without_nan(column: Floats) -> None:
    feature = of(column)
    assert feature.m == len(column)
    assert len(feature.labels) == feature.bins == len(feature.edges) + 2
    profile = streams.numbers(column[:, None], Windows(events=100))
    assert Profile.decode(profile.encode()) == profile
    optional = ("seen", "lowest", "highest", "mean", "sd", "null", "detectable")
    absent = sum(getattr(one, name) is None for one in profile.features for name in optional)
    assert profile.encode().count(b":null") == absent + 1  # window_seconds: no number has become null by being NaN


def test_a_small_reference_has_bins_and_no_null() -> None:
    assert of(streams.values(999)[:, 0]).null is None
    assert of(streams.values(1_000)[:, 0]).null is not None


def test_the_minimum_detectable_shift_has_the_power_that_it_states() -> None:
    """One window finds it in 80 % of the cases; shifts of half of it in few, twice of it always."""
    profile = streams.numbers(streams.values(200_000, 1))
    feature = profile.features[0]
    shift, sd = feature.shift_at(1_000), feature.sd
    assert shift is not None
    assert sd is not None
    assert shift == pytest.approx(0.18, rel=0.15)

    def power(factor: float) -> float:
        rows = streams.values(300_000, 1, seed=9) + factor * shift * sd
        return float(np.mean([suspicious(window[0]) for window in streams.judged(profile, rows)]))

    assert power(0.5) < 0.3
    assert 0.7 < power(1.0) < 0.97
    assert power(2.0) == 1.0


def test_larger_windows_see_smaller_shifts_down_to_what_the_rule_lets_pass() -> None:
    feature = streams.numbers(streams.values(100_000, 1)).features[0]
    shifts = [feature.shift_at(n) or 0.0 for n in (250, 1_000, 4_000, 10**9)]
    assert shifts == sorted(shifts, reverse=True)
    assert feature.detectable is not None
    assert shifts[0] == pytest.approx(2 * shifts[1], rel=0.02)
    assert shifts[-1] == feature.detectable.floor == pytest.approx(0.145, rel=0.1)  # PSI 0.02 is 0.145 sd of a normal in deciles


def test_a_shift_in_memory_must_be_larger_to_be_seen() -> None:
    independent, autocorrelated = (streams.numbers(streams.values(100_000, 1, phi)).features[0] for phi in (0.0, 0.9))
    assert (autocorrelated.shift_at(1_000) or 0) > 2.5 * (independent.shift_at(1_000) or INF)


def test_of_categories_it_is_the_share_that_moves() -> None:
    column = np.random.default_rng(1).choice([1.0, 2.0, 3.0], 100_000, p=[0.6, 0.3, 0.1])
    profile = streams.categories(column)
    share = profile.features[0].shift_at(1_000)
    assert share is not None
    rows = np.random.default_rng(2).choice([1.0, 2.0, 3.0], (300_000, 1), p=[0.6 - share, 0.3 + share, 0.1])
    assert 0.7 < np.mean([suspicious(window[0]) for window in streams.judged(profile, rows)]) < 0.92


@pytest.mark.parametrize(
    ("phi", "least", "most"), [(0.0, EVENTS_LEAST, 1_500), (0.9, 3_000, 5_000), (0.9995, 10_000, EVENTS_MOST)]
)
def test_the_window_is_chosen_by_the_effective_events_of_the_median_feature(phi: float, least: int, most: int) -> None:
    rows = 1_000_000 if phi == 0.9995 else 300_000
    profile = streams.numbers(streams.values(rows, 3, phi), Windows())
    assert profile.window_events is not None
    assert least <= profile.window_events <= most


def test_the_chosen_window_leaves_fifty_chunks_where_that_is_possible() -> None:
    assert streams.numbers(streams.values(100_000, 1, 0.99), Windows()).window_events == 2_000
    assert streams.numbers(streams.values(3_000, 1), Windows()).window_events == EVENTS_LEAST


def test_a_window_in_time_has_chunks_of_as_many_events_as_usually_come() -> None:
    profile = streams.numbers(streams.values(50_000, 1), Windows(seconds=600.0))  # a row a second
    assert (profile.window_events, profile.window_seconds, profile.chunk_events) == (None, 600.0, 600)


def test_progress_is_told_feature_by_feature() -> None:
    told: list[tuple[int, int]] = []
    matrix, times = streams.values(100, 2), np.arange(100.0)
    build_profile(matrix, times, "ab", ["number"] * 2, streams.nothing(1), progress=lambda *step: told.append(step))
    assert told == [(i, 5) for i in range(1, 6)]
