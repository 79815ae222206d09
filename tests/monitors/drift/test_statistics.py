"""Distances and corrections are SciPy's, and Evidently's where that can be asked the same question."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, false_discovery_control, wasserstein_distance

from monitors.drift.statistics import (
    Histograms,
    expected_psi,
    js_distance,
    occupied,
    psi,
    psis,
    q_values,
    shares,
    wasserstein,
)


def pairs() -> list[Histograms]:
    """Alike and unlike histograms, with empty bins on either side."""
    random = np.random.default_rng(1)
    found = []
    for bins in (2, 5, 11, 22):
        for n in (50, 1_000):
            p = random.dirichlet(np.ones(bins))
            found.append(Histograms(random.multinomial(n, random.dirichlet(np.ones(bins))), random.multinomial(40_000, p)))
    found.append(Histograms(np.array([0, 10, 0]), np.array([500, 0, 7])))
    return found


# Evidently 0.7.23 imports by name a function that pandas 3 no longer has, and that these formulas do not call; on import it
# changes NumPy, so that it runs in a process of its own. Each count is given as rows: half a row more in every bin, twice.
EVIDENTLY = """
import json, sys
import numpy as np, pandas as pd
import pandas.core.dtypes.common as types
types.infer_dtype_from_object = None
from evidently.legacy.calculations.stattests import jensenshannon, psi
def column(counts):
    return pd.Series(np.repeat([f"bin {i}" for i in range(len(counts))], 2 * np.array(counts) + 1))
kind = psi.ColumnType.Categorical
found = []
for window, reference in json.load(sys.stdin):
    columns = column(reference), column(window)
    distance = jensenshannon._jensenshannon(*columns, kind, 0.1, base=2)[0]
    found.append((float(psi._psi(*columns, kind, 0.1)[0]), float(distance)))
print(json.dumps(found))
"""


@pytest.mark.parametrize("pair", pairs())
def test_psi_is_the_sum_of_both_relative_entropies(pair: Histograms) -> None:
    q, p = shares(pair.window), shares(pair.reference)
    assert psi(pair) == pytest.approx(entropy(q, p) + entropy(p, q), rel=1e-12)


@pytest.mark.parametrize("pair", pairs())
def test_js_distance_is_scipys_in_bits(pair: Histograms) -> None:
    assert js_distance(pair) == pytest.approx(jensenshannon(shares(pair.window), shares(pair.reference), 2), rel=1e-9)


@pytest.mark.parametrize("pair", pairs())
def test_wasserstein_is_scipys_on_the_middles(pair: Histograms) -> None:
    middles = np.cumsum(np.random.default_rng(2).exponential(size=pair.bins))
    expected = wasserstein_distance(middles, middles, shares(pair.window), shares(pair.reference))
    assert wasserstein(pair, middles) == pytest.approx(expected, rel=1e-12)


def test_psi_and_js_distance_are_evidentlys() -> None:
    asked = json.dumps([(pair.window.tolist(), pair.reference.tolist()) for pair in pairs()])
    answer = subprocess.run([sys.executable, "-W", "ignore", "-c", EVIDENTLY], input=asked, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    theirs = json.loads(answer.stdout)
    np.testing.assert_allclose([(psi(pair), js_distance(pair)) for pair in pairs()], theirs, rtol=1e-9)


def test_q_values_are_scipys_and_what_was_not_tested_is_no_test() -> None:
    ps = [0.001, 0.8, 0.04, 0.04, 1.0, 0.0]
    np.testing.assert_allclose(np.array(q_values(list(ps)), dtype=float), false_discovery_control(ps), rtol=1e-12)
    assert q_values([None, 0.02, None, 0.5]) == [None, 0.04, None, 0.5]
    assert q_values([None]) == [None]
    assert q_values([]) == []


def test_psi_of_independent_samples_is_on_average_what_is_expected() -> None:
    random, p = np.random.default_rng(3), np.full(10, 0.1)
    found = psis(random.multinomial(1_000, p, 4_000), random.multinomial(5_000, p, 4_000))
    assert found.mean() == pytest.approx(expected_psi(10, 1_000, 5_000), rel=0.03)  # three standard errors are 2.2 %


def test_bins_that_are_empty_on_both_sides_are_not_compared() -> None:
    assert occupied(np.array([0, 1, 0]), np.array([0, 0, 3])).tolist() == [False, True, True]
