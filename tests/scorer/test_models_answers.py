"""LightGBM's answers to a proof are remembered, and believed only where everything they depend on is the same."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scorer.models import Matrix, Scores, answers, load_model
from scorer.models.answers import Answers
from scorer.models.forest import Forest
from scorer.models.lightgbm import LightGBMModel
from scorer.training import TrainedModel
from tests.scorer.rows import SCHEMA, rows

MATRIX = rows(300, seed=9).matrix

SECOND_START = """
import pathlib, pickle, sys
from scorer.models import load_model
folder = pathlib.Path(sys.argv[1])
files, schema, matrix = pickle.loads((folder / "what").read_bytes())
model = load_model("lightgbm", files, schema, answers=folder / "answers")
(folder / "scores").write_bytes(model.score(matrix).tobytes())
assert model.forest is not None
sys.exit(10 if "lightgbm" in sys.modules else 20)
"""


class Asked:
    """Counts how often LightGBM itself scores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times, predict = 0, LightGBMModel._predict

        def counted(model: LightGBMModel, encoded: Matrix) -> Scores:
            self.times += 1
            return predict(model, encoded)

        monkeypatch.setattr(LightGBMModel, "_predict", counted)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def load(trained: TrainedModel, folder: Path) -> LightGBMModel:
    model = load_model("lightgbm", trained.model.files(), SCHEMA, answers=folder)
    assert isinstance(model, LightGBMModel)
    return model


def test_a_second_start_does_not_import_lightgbm_and_scores_the_same_bits(trained: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "what").write_bytes(pickle.dumps((trained.model.files(), SCHEMA, MATRIX)))
    codes, scores = [], []
    for _ in range(2):
        codes.append(subprocess.run([sys.executable, "-c", SECOND_START, str(tmp_path)], check=False).returncode)
        scores.append((tmp_path / "scores").read_bytes())
    assert codes == [10, 20]
    assert scores == [trained.model.score(MATRIX).tobytes()] * 2


def test_without_a_folder_lightgbm_is_always_asked(trained: TrainedModel, asked: Asked) -> None:
    for _ in range(2):
        load_model("lightgbm", trained.model.files(), SCHEMA)
    assert asked.times == 2


def test_the_walk_is_proven_against_remembered_answers(
    trained: TrainedModel, tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own code may have changed since: then LightGBM is asked again, and scores."""
    load(trained, tmp_path)
    right = Forest.score
    monkeypatch.setattr(Forest, "score", lambda forest, matrix: np.nextafter(right(forest, matrix), 1.0))
    model = load(trained, tmp_path)
    assert (asked.times, model.forest) == (2, None)
    assert model.score(MATRIX).tobytes() == trained.model._predict(trained.model._encoder.encode(MATRIX)).tobytes()


def test_remembered_answers_that_are_no_longer_lightgbms_are_replaced(
    trained: TrainedModel, tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A C library of the same version may round another way after a repair."""
    right = Answers.keep
    monkeypatch.setattr(Answers, "keep", lambda answers, rows, scores: right(answers, rows, np.nextafter(scores, 1.0)))
    load(trained, tmp_path)
    monkeypatch.setattr(Answers, "keep", right)
    assert load(trained, tmp_path).forest is not None
    assert asked.times == 2
    assert load(trained, tmp_path).forest is not None
    assert asked.times == 2


@pytest.mark.parametrize("damage", [lambda held: held[:-8], lambda held: held[:-1] + b"x", lambda held: b""])
def test_a_damaged_answer_is_asked_for_again_and_mended(
    trained: TrainedModel, tmp_path: Path, asked: Asked, damage: Callable[[bytes], bytes]
) -> None:
    load(trained, tmp_path)
    (file,) = tmp_path.iterdir()
    sound = file.read_bytes()
    file.write_bytes(damage(sound))
    assert load(trained, tmp_path).forest is not None
    assert (asked.times, file.read_bytes()) == (2, sound)


def test_an_answer_under_another_ones_name_is_not_believed(tmp_path: Path) -> None:
    one, other = Answers(tmp_path, "one"), Answers(tmp_path, "other")
    one.keep(MATRIX, np.zeros(len(MATRIX)))
    (file,) = tmp_path.iterdir()
    other.keep(MATRIX, np.ones(len(MATRIX)))
    (another,) = set(tmp_path.iterdir()) - {file}
    another.write_bytes(file.read_bytes())
    assert other.recall(MATRIX) is None


def test_an_answer_is_for_one_model_its_rows_and_one_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, scores = Answers(tmp_path, "text"), np.arange(len(MATRIX), dtype=np.float64)
    kept.keep(MATRIX, scores)
    found = Answers(tmp_path, "text").recall(MATRIX)
    assert found is not None
    assert found.tobytes() == scores.tobytes()
    moved = MATRIX.copy()
    moved[-1, 0] = np.nextafter(moved[-1, 0], np.inf)
    assert [kept.recall(moved), kept.recall(MATRIX[:-1]), Answers(tmp_path, "text ").recall(MATRIX)] == [None] * 3
    here = answers.build()
    assert here is not None
    monkeypatch.setattr(answers, "build", lambda: here + b".")
    assert kept.recall(MATRIX) is None


@pytest.mark.parametrize(
    ("what", "otherwise"),
    [
        ("platform.libc_ver", ("glibc", "1.0")),
        ("platform.machine", "another"),
        ("binding.get_host_cpu_name", "another"),
    ],
)
def test_a_build_is_lightgbms_files_the_c_library_and_the_processor(
    what: str, otherwise: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers.build()
    assert before is not None
    assert b"lib_lightgbm" in before
    monkeypatch.setattr(f"scorer.models.answers.{what}", lambda: otherwise)
    assert answers.build() != before


def test_where_lightgbms_files_are_not_known_nothing_is_remembered(
    trained: TrainedModel, tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "build", lambda: None)
    for _ in range(2):
        load(trained, tmp_path / "answers")
    assert (asked.times, (tmp_path / "answers").exists()) == (2, False)


def test_a_folder_that_cannot_be_written_costs_time_only(trained: TrainedModel, tmp_path: Path, asked: Asked) -> None:
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        assert load(trained, tmp_path / "file").forest is not None
    assert asked.times == 2
