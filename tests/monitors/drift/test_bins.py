"""Bins are the reference's, none is empty, and every double has its place."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from monitors.drift import bins
from monitors.drift.statistics import Histograms, wasserstein

NAN, INF = float("nan"), float("inf")


def edges_of(values: list[float]) -> list[float]:
    return bins.number_edges(np.sort(np.array(values)))


def counts_of(values: list[float], edges: list[float]) -> list[int]:
    found: list[int] = bins.chunk_counts(np.sort(np.array([values])), np.array(edges))[0].tolist()
    return found


def test_edges_are_deciles_and_bins_hold_a_tenth_each() -> None:
    values = np.random.default_rng(1).normal(size=10_000).tolist()
    edges = edges_of(values)
    assert len(edges) == 9
    assert all(abs(count - 1_000) <= 1 for count in counts_of(values, edges)[:-1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0] * 95 + [1.0] * 5, [95, 5, 0]),
        ([0.0] * 5 + [1.0] * 95, [5, 95, 0]),  # a flag that is mostly set is not one bin
        ([1.0] * 10 + [2.0] * 80 + [3.0] * 10, [10, 80, 10, 0]),
        ([7.0] * 100, [0, 100, 0, 0]),  # below and above a constant are bins: a change either way is seen
        ([7.0], [0, 1, 0, 0]),
        ([1.0, 2.0], [1, 1, 0]),
    ],
)
def test_ties_have_a_bin_of_their_own(values: list[float], expected: list[int]) -> None:
    assert counts_of(values, edges_of(values)) == expected


@pytest.mark.parametrize("seed", range(20))
def test_only_the_missing_bin_may_be_empty(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, random.integers(2, 30), 500) * random.exponential(3.0)
    edges = bins.number_edges(np.sort(values))
    assert 1 <= len(edges) <= 9
    assert all(counts_of(values.tolist(), edges)[:-1])


def test_no_values_make_one_bin_and_missing() -> None:
    assert edges_of([]) == []
    assert counts_of([NAN, NAN], []) == [0, 2]
    assert bins.number_labels([]) == ["any", "missing"]


def test_infinite_values_are_in_the_outer_bins_and_nan_is_missing() -> None:
    assert counts_of([-INF, 0.0, 5.0, INF, NAN], [1.0, 2.0]) == [2, 0, 2, 1]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([1.0, 3.2], ["(-inf, 1]", "(1, 3.2]", "(3.2, inf)", "missing"]),
        ([1.00001, 1.00002], ["(-inf, 1.00001]", "(1.00001, 1.00002]", "(1.00002, inf)", "missing"]),
    ],
)
def test_labels_are_in_as_few_digits_as_tell_edges_apart(edges: list[float], expected: list[str]) -> None:
    assert bins.number_labels(edges) == expected


def test_the_label_of_a_constant_is_the_constant() -> None:
    assert bins.number_labels(edges_of([0.1] * 9)) == ["below 0.1", "0.1", "above 0.1", "missing"]


def test_middles_are_where_the_rows_of_a_bin_are() -> None:
    known = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 100.0])
    assert bins.middles(known, [2.0, 4.0]) == [1.0, 3.5, 52.5]
    assert bins.middles(np.array([7.0]), [6.0, 7.0]) == [6.0, 7.0, 7.0]
    assert bins.middles(known, []) == [pytest.approx(known.mean())]
    assert np.isfinite(bins.middles(np.array([1.7e308, 1.7e308]), [1.0])).all()


def test_wasserstein_of_a_skewed_feature_is_near_that_of_its_rows() -> None:
    random = np.random.default_rng(1)
    rows, window = random.lognormal(3, 1.5, 50_000), random.lognormal(3.3, 1.5, 5_000)
    known = np.sort(rows)
    edges = bins.number_edges(known)
    counts = [np.array(counts_of(values.tolist(), edges)[:-1]) for values in (window, rows)]
    told = wasserstein(Histograms(*counts), np.array(bins.middles(known, edges)))
    assert told == pytest.approx(wasserstein_distance(window, rows), rel=0.5)


def test_the_most_frequent_categories_have_bins_and_the_rest_are_other() -> None:
    values = np.repeat(np.arange(25.0), np.arange(25, 0, -1))
    codes, seen = bins.category_codes(values)
    assert codes == list(range(20))
    assert seen == list(range(25))
    found, unseen = bins.Categories(codes, seen).find(np.array([0.0, 19.0, 24.0, 99.0, -1.0, NAN, INF, -INF]))
    assert found.tolist() == [0, 19, 20, 20, 20, 21, 20, 20]
    assert unseen == 4


def test_with_too_many_categories_unseen_ones_are_not_counted() -> None:
    codes, seen = bins.category_codes(np.arange(bins.SEEN_MAX + 1.0))
    assert seen is None
    found, unseen = bins.Categories(codes, seen).find(np.array([0.0, 1e9, 500.0, NAN]))
    assert (found.tolist(), unseen) == ([0, 20, 20, 21], 0)


def test_a_category_that_was_never_known_has_bins_all_the_same() -> None:
    codes, seen = bins.category_codes(np.zeros(0))
    found, unseen = bins.Categories(codes, seen).find(np.array([3.0, NAN]))
    assert (found.tolist(), unseen, bins.category_labels(codes, {})) == ([0, 1], 1, ["other", "missing"])


def test_categories_are_named_by_their_texts() -> None:
    assert bins.category_labels([2.0, 4_000_000_001.0], {2.0: "north"}) == ["north", "4000000001", "other", "missing"]
