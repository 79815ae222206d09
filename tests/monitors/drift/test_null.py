"""The null is the reference's own: p-values are right without memory, and with it."""

import msgspec
import numpy as np
import pytest
from scipy.stats import chi2, kstest

from benchmarks.accept import drift_streams as streams
from monitors.drift.null import CHUNKS_MAX, PARTS, Null, chunk_events, chunk_starts, fit_null
from monitors.drift.profile import FeatureProfile
from monitors.drift.reference import Windows
from monitors.drift.statistics import Counts, Histograms, occupied, psi


def in_parts(counts: Counts) -> Counts:
    """Chunks (chunks, bins) in parts, of which all but the first are empty."""
    parts = np.zeros((len(counts), PARTS, counts.shape[1]), dtype=np.int64)
    parts[:, 0] = counts
    return parts


def test_p_and_critical_values_are_scipys_scaled_chi_square() -> None:
    null = Null(scale=0.002, dof=7.5, chunk_events=1_000, rest_events=99_000, inflation=1.2, decay=1.0, psis=[])
    assert null.p(0.03, 1_000, 99_000) == pytest.approx(chi2.sf(0.03 / 0.002, 7.5), rel=1e-12)
    assert null.critical(0.0005) == pytest.approx(0.002 * chi2.isf(0.0005, 7.5), rel=1e-9)
    assert null.p(0.03, 1_000, 99_000) == pytest.approx(null.p(0.03 * 2, 500, 49_500))  # half of both: twice the PSI by chance
    assert null.p(0.0, 1_000, 99_000) == 1


def test_mean_and_variance_are_those_of_the_chunks() -> None:
    random = np.random.default_rng(1)
    counts = random.multinomial(1_000, random.dirichlet(np.full(10, 50.0), 100))  # chunks differ by more than chance
    null = fit_null(in_parts(counts), counts.sum(axis=0))
    assert null is not None
    assert null.scale * null.dof == pytest.approx(np.mean(null.psis))
    assert 2 * null.scale**2 * null.dof == pytest.approx(np.var(null.psis, ddof=1))
    rest = counts.sum(axis=0) - counts[7]
    assert null.psis[7] == pytest.approx(psi(Histograms(counts[7], rest)))


@pytest.mark.parametrize("phi", [0.0, 0.9])
def test_p_is_uniform_without_drift(phi: float) -> None:
    profile = streams.numbers(streams.values(200_000, 1, phi, seed=3))
    (feature, *_) = profile.features
    assert feature.null is not None
    ps = []
    for rows in streams.values(300_000, 1, phi, seed=4).reshape(300, 1_000, 1):
        window = streams.tallied(profile, rows).bins[0, : feature.bins]
        used = occupied(window, np.array(feature.counts))
        ps.append(feature.null.p(psi(Histograms(window[used], np.array(feature.counts)[used])), 1_000, feature.m))
    assert kstest(ps, "uniform").pvalue > 0.001


def test_with_memory_a_window_knows_less_and_says_so() -> None:
    independent, autocorrelated = (streams.numbers(streams.values(100_000, 1, phi)).features[0].null for phi in (0.0, 0.9))
    assert independent is not None
    assert autocorrelated is not None
    assert independent.effective(1_000) == pytest.approx(1_000, rel=0.12)
    assert 150 < autocorrelated.effective(1_000) < 350
    assert max(independent.effective(n) - n for n in range(1, 100)) <= 0


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.9), (0.9, 0.75)])
def test_with_a_short_memory_larger_windows_know_in_proportion_more(phi: float, least: float) -> None:
    null = streams.numbers(streams.values(200_000, 1, phi)).features[0].null
    assert null is not None
    assert least < null.decay <= 1


def test_with_a_memory_longer_than_chunks_a_larger_window_is_not_trusted_to_know_more() -> None:
    """A slow wave: p-values that took 1/n for granted find more than a third of the windows improbable at 1 %."""
    profile = streams.numbers(streams.values(20_000, 1, 0.999), Windows(events=2_000))
    feature, *others = profile.features
    assert feature.null is not None
    assert (feature.null.chunk_events, feature.null.effective(2_000) < 1.5 * feature.null.effective(400)) == (400, True)
    trusting = msgspec.structs.replace(feature, null=msgspec.structs.replace(feature.null, decay=1.0))
    rows = streams.values(400_000, 1, 0.999, seed=5)

    def improbable(one: FeatureProfile) -> float:
        changed = msgspec.structs.replace(profile, features=[one, *others])
        return float(np.mean([(window[0].p or 0) < 0.01 for window in streams.judged(changed, rows)]))

    assert improbable(feature) < 0.05
    assert improbable(trusting) > 0.33


def test_too_few_or_too_small_chunks_are_no_null() -> None:
    counts = np.random.default_rng(1).multinomial(100, [0.5, 0.5], 49)
    assert fit_null(in_parts(counts), counts.sum(axis=0)) is None
    small = np.random.default_rng(1).multinomial(19, [0.5, 0.5], 60)
    assert fit_null(in_parts(small), small.sum(axis=0)) is None
    assert fit_null(np.zeros((0, PARTS, 2), dtype=np.int64), np.array([5, 5])) is None


def test_what_never_varies_has_the_null_of_independent_rows() -> None:
    counts = np.tile([0, 100, 0], (60, 1))
    null = fit_null(in_parts(counts), counts.sum(axis=0))
    assert null is not None
    assert (null.scale, null.dof) == (1 / 100 + 1 / 5_900, 1.0)
    rotation = np.tile([25, 25, 25, 25], (60, 1))
    null = fit_null(in_parts(rotation), rotation.sum(axis=0))
    assert null is not None
    assert null.dof == 3.0
    assert null.effective(100) == 100


def test_chunks_are_of_the_windows_size_unless_there_would_be_too_few() -> None:
    assert chunk_events(165_000, 1_000) == 1_000
    assert chunk_events(20_000, 1_000) == 400
    assert chunk_events(10, 1_000) == 0


def test_chunks_are_spread_over_the_whole_time_and_do_not_overlap() -> None:
    starts = chunk_starts(1_000_000, 1_000)
    assert len(starts) == CHUNKS_MAX
    assert (np.diff(starts) >= 1_000).all()
    assert (starts[0], starts[-1]) == (0, 999_000)
    assert chunk_starts(2_500, 1_000).tolist() == [0, 1_000]
    assert chunk_starts(0, 0).tolist() == []
