"""The compiled walk over LightGBM's trees: its scores are LightGBM's to the last bit, and what it does not know it refuses."""

import logging
import re
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import UnsupportedForestError
from scorer.models import Matrix, Scores
from scorer.models import forest_kernel as kernel
from scorer.models.forest import Forest
from scorer.models.forest_proof import leaf_positions, proven, rows_to, telling_rows
from scorer.models.lightgbm import LightGBMModel
from scorer.models.port import Model
from scorer.training import TrainedModel, train
from tests.scorer.forests import KNOWN, QUIET, REFUSED, booster, drawn
from tests.scorer.rows import HOUR, SCHEMA, SMALL, rows

MILLION, BLOCK = 1_000_000, 50_000


def predict(model: lightgbm.Booster, matrix: Matrix) -> Scores:
    found: Scores = model.predict(matrix, num_threads=1)
    return found


def check_equal(model: lightgbm.Booster, forest: Forest, matrix: Matrix) -> None:
    """Bit by bit; the message shows a row that differs."""
    ours, theirs = forest.score(matrix), predict(model, matrix)
    differing = np.flatnonzero(ours.view(np.uint64) != theirs.view(np.uint64))
    assert not len(differing), (len(differing), matrix[differing[0]].tolist(), ours[differing[0]], theirs[differing[0]])


def telling(forest: Forest, seed: int, n: int) -> Matrix:
    """Telling rows, and one for each leaf."""
    dice = np.random.default_rng(seed)
    return np.concatenate([telling_rows(forest, dice, n), rows_to(forest, dice, leaf_positions(forest))])


def test_a_million_rows_score_the_same_bits() -> None:
    """Half of them as in training, half on and beside the thresholds; both with missing values and categories."""
    model = booster("everything")
    forest, dice = Forest.read(model.model_to_string()), np.random.default_rng(4)
    for block in range(MILLION // BLOCK // 2):
        check_equal(model, forest, drawn(BLOCK, 100 + block))
        check_equal(model, forest, telling_rows(forest, dice, BLOCK))


@pytest.mark.parametrize("name", KNOWN)
def test_every_kind_of_model_scores_the_same_bits(name: str) -> None:
    model = booster(name)
    forest = proven(model.model_to_string(), lambda matrix: predict(model, matrix))
    check_equal(model, forest, drawn(5_000, 3)[:, KNOWN[name].columns])
    check_equal(model, forest, telling(forest, 5, 5_000))


@pytest.mark.parametrize(("name", "least"), [("numbers alone", 0.95), ("everything", 0.75)])
def test_rows_are_led_to_the_leaves(name: str, least: float) -> None:
    """Else rare leaves would go unproven. Categories on the way may stop a row."""
    model = booster(name)
    forest = Forest.read(model.model_to_string())
    leaves = leaf_positions(forest)
    met = model.predict(rows_to(forest, np.random.default_rng(1), leaves), pred_leaf=True, num_threads=1)
    assert sum(len(np.unique(met[:, tree])) for tree in range(met.shape[1])) >= least * len(leaves)


ODD = [np.nan, -np.inf, np.inf, -0.0, 0.0, 1e-36, -1e-36, 1e-35, 2e-35, 0.1, 0.2, -1.5, 1e10]
NUMBER = st.sampled_from(ODD) | st.floats(width=32)
CATEGORY = st.sampled_from([np.nan, 0.0, 1.0, 31.0, 32.0, 33.0, 64.0, 100.0])


@settings(max_examples=60)
@given(
    table=st.lists(st.tuples(NUMBER, NUMBER, CATEGORY, st.booleans()), min_size=8, max_size=60),
    use_missing=st.booleans(),
    leaves=st.integers(2, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_small_models_of_odd_values_score_the_same_bits(table: list[Any], use_missing: bool, leaves: int, seed: int) -> None:
    columns = np.array(table, dtype=np.float64)
    odd: dict[str, Any] = {"min_data_in_leaf": 1, "min_data_in_bin": 1, "min_sum_hessian_in_leaf": 0, "min_data_per_group": 1}
    params = {"objective": "regression", "num_leaves": leaves, "cat_smooth": 0, "use_missing": use_missing, **odd, **QUIET}
    dataset = lightgbm.Dataset(columns[:, :3], columns[:, 3], categorical_feature=[2], params=params)
    model = lightgbm.train(params, dataset, 3)
    forest = Forest.read(model.model_to_string())
    check_equal(model, forest, columns[:, :3].copy())
    check_equal(model, forest, telling(forest, seed, 200))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 200])
def test_chunks_of_any_size_score_the_same_bits(count: int) -> None:
    """Rows go eight and 64 at a time."""
    model = booster("numbers alone")
    forest = Forest.read(model.model_to_string())
    check_equal(model, forest, drawn(count, 6)[:, KNOWN["numbers alone"].columns])


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_not_know_is_left_to_lightgbm(name: str) -> None:
    with pytest.raises(UnsupportedForestError):
        Forest.read(booster(name).model_to_string())


@pytest.mark.parametrize(
    ("pattern", "broken"),
    [
        (r"^left_child=-?\d+", "left_child=7"),
        (r"^split_feature=\d+", "split_feature=9"),
        (r"^threshold=\S+ ", "threshold="),
        (r"^leaf_value=\S+", "leaf_value=high"),
        (r"^cat_boundaries=.*\n", ""),
    ],
    ids=["two parents", "no such feature", "one less", "no number", "no sets"],
)
def test_a_text_of_another_form_is_left_to_lightgbm(pattern: str, broken: str) -> None:
    text = booster("everything").model_to_string()
    changed = re.sub(pattern, broken, text, flags=re.MULTILINE)
    assert changed != text
    with pytest.raises(UnsupportedForestError):
        Forest.read(changed)


def test_a_text_without_trees_is_left_to_lightgbm() -> None:
    with pytest.raises(UnsupportedForestError, match="no trees"):
        Forest.read(booster("stumps").model_to_string().partition("Tree=0")[0])


def test_too_many_things_asked_are_left_to_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes of such models would not fit the caches."""
    text = booster("everything").model_to_string()
    for limit in ("WIDTH_MAX", "TABLE_MAX"):
        with monkeypatch.context() as patch:
            patch.setattr(f"scorer.models.forest.{limit}", 10)
            with pytest.raises(UnsupportedForestError, match="it"):
                Forest.read(text)


def _scaled(found: re.Match[str]) -> str:
    """A line of leaves, each differing in its last bits."""
    values = [float(np.nextafter(float(value), 9.0)) for value in found[1].split()]
    return f"leaf_value={' '.join(map(repr, values))}"


def test_a_single_bit_is_found() -> None:
    model = booster("regression")
    text = re.sub(r"^leaf_value=(.*)", _scaled, model.model_to_string(), count=1, flags=re.MULTILINE)
    with pytest.raises(UnsupportedForestError, match="other scores"):
        proven(text, lambda matrix: predict(model, matrix))


def test_a_trained_model_scores_by_it_and_reproduces_its_golden_rows(trained: TrainedModel) -> None:
    itself = LightGBMModel(trained.model.text, SCHEMA, "binary", trained.model.encoding, threads=2)
    assert trained.model.forest is not None
    assert itself.forest is None
    for matrix in (trained.golden, rows(20_000, seed=5).matrix):
        assert trained.model.score(matrix).tobytes() == itself.score(matrix).tobytes()


def test_the_log_says_why_lightgbm_itself_scores(caplog: pytest.LogCaptureFixture) -> None:
    made = rows(task="multiclass")
    with caplog.at_level(logging.INFO):
        trained = train(
            made.matrix, made.labels, made.times, SCHEMA, task="multiclass", seed=1, gap_seconds=HOUR, params=SMALL, rounds_max=3
        )
    model: Model = trained.model
    assert model.score(made.matrix[:5]).shape == (5, 3)
    assert caplog.messages == ["LightGBM itself scores the model: its objective is multiclass num_class:3"]


def test_one_compiled_function_serves_every_model() -> None:
    """Another kind of array would be compiled anew, for seconds, in a worker that is at work."""
    matrix = drawn(9, 8)
    for name in KNOWN:
        Forest.read(booster(name).model_to_string()).score(matrix[:, KNOWN[name].columns])
    matrix.flags.writeable = False
    Forest.read(booster("everything").model_to_string()).score(matrix)
    assert len(kernel.score.signatures) == 1
