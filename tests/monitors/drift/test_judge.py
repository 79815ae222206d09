"""A window is judged by all its features together, says what it can, and nothing is NaN."""

import msgspec
import numpy as np
import pytest
from scipy.stats import false_discovery_control, wasserstein_distance

from benchmarks.accept import drift_streams as streams
from monitors.drift.judge import Judgement, judge
from monitors.drift.profile import CONFIDENCE, PREDICTIONS, SCORE, Profile
from monitors.drift.reference import Windows, build_profile
from monitors.drift.season import SeasonContext
from monitors.drift.statistics import Floats
from monitors.drift.tally import Binner, Tally

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def profile() -> Profile:
    return streams.numbers(streams.values(100_000, 4))


def once(profile: Profile, rows: Floats, minimum_events: int = 200, season: SeasonContext | None = None) -> list[Judgement]:
    return judge(profile, streams.tallied(profile, rows), 0.0, 3_600.0, [], season, minimum_events)[0]


def test_a_shifted_feature_drifts_from_its_second_window_on_and_the_others_do_not(profile: Profile) -> None:
    rows = streams.values(5_000, 4, seed=2)
    rows[:, 2] += 0.5
    windows = list(streams.judged(profile, rows))
    assert [window[2].state for window in windows] == ["warn", "drift", "drift", "drift", "drift"]
    assert windows[1][2].alarm_since == 3_600.0
    assert windows[1][2].severity == "ticket"
    assert "2 of the last 2 windows" in (windows[1][2].why or "")
    assert {window[i].state for window in windows for i in (0, 1, 3)} == {"ok"}


def test_statistics_are_of_the_counts_that_are_shown(profile: Profile) -> None:
    rows = streams.values(1_000, 4, seed=3) + 0.2
    found = once(profile, rows)[0]
    q = (np.array(found.counts) + 0.5) / (1_000 + 0.5 * len(found.counts))
    p = (np.array(found.reference_counts) + 0.5) / (100_000 + 0.5 * len(found.counts))
    assert found.psi == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert found.psi_excess == pytest.approx((found.psi or 0) - 9 * (1 / 1_000 + 1 / 100_000))
    assert found.bins == profile.features[0].labels[:-1]  # nothing is missing on either side
    assert (found.n, found.m) == (1_000, 100_000)
    assert found.wasserstein == pytest.approx(0.2, abs=0.08)
    assert found.wasserstein == pytest.approx(wasserstein_distance(rows[:, 0], streams.values(100_000, 4)[:, 0]), abs=0.05)


def test_q_is_over_the_features_that_have_a_p(profile: Profile) -> None:
    found = once(profile, streams.values(1_000, 4, seed=4) + 0.1)
    ps = [one.p for one in found if one.p is not None]
    assert len(ps) == 4
    np.testing.assert_allclose([one.q for one in found[:4]], false_discovery_control(ps))
    assert {one.feature: one.q for one in found[4:]} == dict.fromkeys(PREDICTIONS)


def test_a_small_window_is_unknown_and_remembers_what_was(profile: Profile) -> None:
    rows = streams.values(1_000, 4) + 1.0
    _, memory = judge(profile, streams.tallied(profile, rows), 0.0, 1.0, [], None, 200)
    found, after = judge(profile, streams.tallied(profile, rows[:199]), 1.0, 2.0, memory, None, 200)
    assert after == memory
    assert (found[0].state, found[0].severity, found[0].p, found[0].q) == ("unknown", "none", None, None)
    assert found[0].why == "199 events; 200 are needed"
    assert (found[0].psi or 0) > 0.5


def test_without_a_null_it_is_unknown_whatever_the_window() -> None:
    small = streams.numbers(streams.values(300, 1), Windows(events=100))
    found = once(small, streams.values(1_000, 1) + 5)[0]
    assert (found.state, found.effective_n, found.minimum_detectable_shift) == ("unknown", None, None)
    assert found.why == "the reference has 300 rows of it, and 1000 are needed to know what chance does; train on more"


def test_a_constant_that_changes_either_way_drifts() -> None:
    constant = streams.numbers(np.full((5_000, 1), 7.0), Windows(events=100))
    for value in (6.0, 8.0, NAN):
        windows = list(streams.judged(constant, np.full((300, 1), value), minimum_events=100))
        assert [window[0].state for window in windows] == ["warn", "drift", "drift"]
    assert {window[0].state for window in streams.judged(constant, np.full((300, 1), 7.0), minimum_events=100)} == {"ok"}


def test_values_that_were_always_missing_and_come_drift() -> None:
    missing = streams.numbers(np.full((5_000, 1), NAN), Windows(events=100))
    windows = list(streams.judged(missing, np.zeros((200, 1)), minimum_events=100))
    assert windows[1][0].state == "drift"
    assert windows[1][0].wasserstein is None


def test_a_new_category_is_counted_and_drifts() -> None:
    column = np.random.default_rng(1).choice([1.0, 2.0, 3.0], 60_000, p=[0.5, 0.3, 0.2])
    profile = streams.categories(column)
    rows = np.random.default_rng(2).choice([1.0, 2.0, 9.0], (3_000, 1), p=[0.5, 0.3, 0.2])  # 3 was renamed to 9
    windows = list(streams.judged(profile, rows))
    assert windows[-1][0].state == "drift"
    assert windows[-1][0].unseen_ratio == np.mean(rows[2_000:] == 9.0)
    assert (windows[-1][0].wasserstein, windows[-1][0].below_ratio) == (None, None)


def test_out_of_range_and_missing_are_shares_of_the_window(profile: Profile) -> None:
    rows = streams.values(1_000, 4, seed=5)
    rows[:10, 0], rows[10:30, 0], rows[30:60, 0] = -50.0, INF, NAN
    found = once(profile, rows)[0]
    assert (found.below_ratio, found.above_ratio, found.missing_ratio, found.unseen_ratio) == (0.01, 0.02, 0.03, None)


def test_events_without_a_prediction_are_no_drift_of_predictions() -> None:
    rows, scores = streams.values(100_000, 1), np.random.default_rng(8).random(100_000)
    said = np.column_stack([scores, scores > 0.5, np.full(100_000, NAN)])  # confidences are never said
    reference = build_profile(rows, np.arange(100_000.0), ["f"], ["number"], said, windows=Windows(events=1_000))

    def judged(failed: int) -> dict[str, Judgement]:
        window = np.column_stack([rows, said])[:1_000]
        window[:failed] = NAN
        tally = Tally.empty(reference)
        Binner(reference).add(tally, window)
        return {one.feature: one for one in judge(reference, tally, 0.0, 3_600.0, [], None, 200)[0]}

    some = judged(50)
    assert [some[name].state for name in ("f", *PREDICTIONS)] == ["warn", "ok", "ok", "ok"]
    assert [some[name].missing_ratio for name in ("f", *PREDICTIONS)] == [0.05, 0.05, 0.05, 1.0]
    assert sum(some[SCORE].counts) == 950
    assert (some[CONFIDENCE].bins, some[CONFIDENCE].counts) == (["missing"], [1_000])
    none = judged(1_000)
    assert [none[name].state for name in ("f", *PREDICTIONS)] == ["warn", "unknown", "unknown", "ok"]
    assert none[SCORE].why == "no event has a prediction"


def odd_rows() -> list[Floats]:
    return [np.zeros((0, 4)), *(np.full((1_000, 4), value) for value in (NAN, INF, -INF, 1e308, -1e308, 0.0))]


@pytest.mark.parametrize("rows", odd_rows())
@pytest.mark.parametrize("reference", [*odd_rows()[1:], np.tile([[1.0, 2.0, 3.0, 4.0]], (3_000, 1))])
def test_nothing_is_nan_whatever_the_window_and_the_reference(rows: Floats, reference: Floats) -> None:
    kinds = ["number", "number", "category", "category"]
    times = np.arange(float(len(reference)))
    profile = build_profile(reference, times, list("abcd"), kinds, streams.nothing(1), windows=Windows(events=20))
    for minimum_events in (0, 200):
        for one in once(profile, rows, minimum_events):
            written = msgspec.json.decode(msgspec.json.encode(one), type=Judgement)
            assert written == one
            assert one.state in ("ok", "warn", "unknown")


def test_the_season_is_measured_by_the_same_rule(profile: Profile) -> None:
    usual = streams.tallied(profile, streams.values(4_000, 4, seed=6) + 0.5)
    season = SeasonContext(usual.bins, usual.n, 4.0)
    rows = streams.values(3_000, 4, seed=7) + 0.5
    windows = list(streams.judged(profile, rows, season))
    assert [(one.state, one.severity) for one in windows[-1][:4]] == [("drift", "info")] * 4
    assert all((one.seasonal_p or 0) > 0.001 and one.history_weeks == 4 for one in windows[-1][:4])
    unlike = list(streams.judged(profile, rows - 1.0, season))
    assert [(one.state, one.severity) for one in unlike[-1][:4]] == [("drift", "ticket")] * 4
    assert "unusual at this hour" in (unlike[-1][0].why or "")


def test_an_empty_window_says_nothing(profile: Profile) -> None:
    found, _ = judge(profile, Tally.empty(profile), 0.0, 1.0, [], None, 200)
    assert (found[0].psi, found[0].missing_ratio, found[0].below_ratio, found[0].state) == (None, 0.0, None, "unknown")
