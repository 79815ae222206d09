"""What every model adapter promises, run on each of them for each task."""

from collections.abc import Callable

import numpy as np
import pytest

from featurestore.schema import FeatureColumn, FeatureKind, FeatureSchema
from scorer.errors import ModelFileError, SchemaMismatchError, ScoringError
from scorer.models import Matrix, Model, OnlineModel, load_model
from scorer.models.river import RiverModel
from scorer.pipeline import Task
from scorer.training import train
from tests.scorer.rows import HOUR, SCHEMA, SMALL, code, rows

KEY = b"0123456789abcdef"
TASKS: tuple[Task, ...] = ("binary", "regression", "multiclass")


def lightgbm(task: Task) -> Model:
    made = rows(task=task)
    return train(
        made.matrix, made.labels, made.times, SCHEMA, task=task, seed=1, gap_seconds=HOUR, params=SMALL, rounds_max=20
    ).model


def river(task: Task) -> OnlineModel:
    made = rows(800, task=task)
    model = RiverModel(SCHEMA, task, classes=3, key=KEY)
    model.learn(made.matrix, made.labels)
    return model


@pytest.fixture(
    scope="module",
    params=[pytest.param((make, task), id=f"{make.__name__}-{task}") for make in (lightgbm, river) for task in TASKS],
)
def model(request: pytest.FixtureRequest) -> Model:
    make, task = request.param
    built: Callable[[Task], Model] = make
    return built(task)


@pytest.fixture
def matrix() -> Matrix:
    """Ordinary rows, and the odd ones: all missing, an unseen category, a code that no text has, huge and negative numbers."""
    odd = [
        [np.nan] * 4,
        [0.5, code("never seen"), 0.1, 2.0],
        [0.5, 1.5, 0.1, 2.0],
        [0.5, -1.0, 0.1, 2.0],
        [1e300, code("north"), -1e300, -0.0],
        [np.inf, code("south"), -np.inf, 0.0],
    ]
    return np.vstack([rows(200, seed=9).matrix, odd])


def equal(one: Matrix, other: Matrix) -> bool:
    """Bit by bit."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def test_is_a_model(model: Model) -> None:
    assert isinstance(model, Model)
    assert model.schema == SCHEMA


def test_a_row_scores_the_same_alone_and_in_any_batch(model: Model, matrix: Matrix) -> None:
    together = model.score(matrix)
    alone = np.concatenate([model.score(matrix[i : i + 1]) for i in range(len(matrix))])
    by_sevens = np.concatenate([model.score(matrix[i : i + 7]) for i in range(0, len(matrix), 7)])
    assert equal(together, alone)
    assert equal(together, by_sevens)
    assert equal(together[::-1].copy(), model.score(matrix[::-1].copy()))


def test_scores_have_the_shape_and_range_of_the_task(model: Model, matrix: Matrix) -> None:
    scores = model.score(matrix)
    assert scores.dtype == np.float64
    assert scores.shape == ((len(matrix), 3) if model.task == "multiclass" else (len(matrix),))
    assert np.isfinite(scores).all()
    if model.task != "regression":
        assert ((scores >= 0) & (scores <= 1)).all()
    if model.task == "multiclass":
        assert np.allclose(scores.sum(axis=1), 1)


def test_an_unseen_category_scores_as_a_missing_one(model: Model) -> None:
    row = np.array([[0.5, np.nan, 0.1, 2.0], [0.5, code("never seen"), 0.1, 2.0], [0.5, 1.5, 0.1, 2.0], [0.5, -1.0, 0.1, 2.0]])
    scores = model.score(row)
    assert all(equal(scores[i], scores[0]) for i in range(len(row)))


def test_a_known_category_tells(model: Model) -> None:
    row = np.array([[0.5, code("north"), 0.1, 2.0], [0.5, code("south"), 0.1, 2.0]])
    scores = model.score(row)
    assert not equal(scores[0], scores[1])


def test_memory_layout_does_not_matter(model: Model, matrix: Matrix) -> None:
    scores = model.score(matrix)
    wide = np.full((len(matrix) * 2, 9), 7.0)
    wide[::2, 1:9:2] = matrix
    assert equal(scores, model.score(np.asfortranarray(matrix)))
    assert equal(scores, model.score(wide[::2, 1:9:2]))


def test_the_matrix_is_left_as_it_was(model: Model, matrix: Matrix) -> None:
    before = matrix.tobytes()
    matrix.flags.writeable = False
    model.score(matrix)
    model.score(np.asfortranarray(matrix))
    assert matrix.tobytes() == before


def test_scoring_changes_nothing(model: Model, matrix: Matrix) -> None:
    first, files = model.score(matrix), model.files()
    for _ in range(3):
        assert equal(model.score(matrix), first)
    assert model.files() == files


def test_no_rows_give_no_scores(model: Model) -> None:
    assert model.score(np.empty((0, 4))).shape == ((0, 3) if model.task == "multiclass" else (0,))


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 3)), np.zeros(4), np.zeros((2, 4), dtype=np.float32)], ids=["columns", "1d", "float32"]
)
def test_a_matrix_of_another_form_is_refused(model: Model, wrong: Matrix) -> None:
    with pytest.raises(ScoringError, match="4 features"):
        model.score(wrong)


def test_saved_and_loaded_it_scores_the_same_bits(model: Model, matrix: Matrix) -> None:
    again = load_model(model.kind, model.files(), SCHEMA, key=KEY)
    assert again.task == model.task
    assert equal(again.score(matrix), model.score(matrix))
    assert again.files() == model.files()


def test_one_thread_unless_set(model: Model) -> None:
    assert load_model(model.kind, model.files(), SCHEMA, key=KEY).threads == 1


COLUMNS = SCHEMA.columns
MISMATCHES = {
    "renamed": ((FeatureColumn("price", FeatureKind.NUMBER), *COLUMNS[1:]), "'amount'"),
    "swapped": ((COLUMNS[0], COLUMNS[1], COLUMNS[3], COLUMNS[2]), "in another order"),
    "other kind": ((COLUMNS[0], FeatureColumn("shop", FeatureKind.NUMBER), *COLUMNS[2:]), "'shop' as a category"),
    "one less": (COLUMNS[:3], "'count'"),
    "one more": ((*COLUMNS, FeatureColumn("extra", FeatureKind.NUMBER)), "lacks column 'extra'"),
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_another_schema_is_refused_naming_the_column(model: Model, case: str) -> None:
    columns, said = MISMATCHES[case]
    with pytest.raises(SchemaMismatchError, match=said):
        load_model(model.kind, model.files(), FeatureSchema(columns), key=KEY)


def test_missing_files_are_refused_naming_them(model: Model) -> None:
    for name in model.files():
        rest = {other: data for other, data in model.files().items() if other != name}
        with pytest.raises(ModelFileError, match=name):
            load_model(model.kind, rest, SCHEMA, key=KEY)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ModelFileError, match="catboost"):
        load_model("catboost", {}, SCHEMA)
