"""What is River's own: it learns, and its checkpoints are signed."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featurestore.schema import FeatureColumn, FeatureKind, FeatureSchema
from scorer.errors import ModelFileError, NonFiniteModelError, ScoringError, SignatureError
from scorer.metrics import binary_metrics
from scorer.models.river import _MAGIC, CHECKPOINT_FILE, RiverModel
from tests.scorer.rows import SCHEMA, rows

KEY = b"0123456789abcdef"


def taught(count: int = 600) -> RiverModel:
    made = rows(count)
    model = RiverModel(SCHEMA, "binary", key=KEY)
    model.learn(made.matrix, made.labels)
    return model


def test_it_learns() -> None:
    unseen = rows(1_000, seed=5)
    before = RiverModel(SCHEMA, "binary").score(unseen.matrix)
    assert (before == 0.5).all()
    assert binary_metrics(unseen.labels, taught().score(unseen.matrix))["auc"] > 0.85


def test_it_learns_a_value_in_a_unit_far_from_one_on_many_features() -> None:
    """Plain gradient steps diverge on squared loss once labels or the number of inputs are large."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(2_000, 30)) * 1_000
    labels = matrix @ random.normal(size=30) + 50_000
    model = RiverModel(FeatureSchema(tuple(FeatureColumn(f"x{i}", FeatureKind.NUMBER) for i in range(30))), "regression")
    model.learn(matrix, labels)
    assert np.abs(model.score(matrix) - labels).mean() < 0.2 * labels.std()


def test_learning_goes_on_after_a_checkpoint_as_if_there_had_been_none() -> None:
    made = rows(600)
    paused = RiverModel(SCHEMA, "binary", key=KEY)
    paused.learn(made.matrix[:250], made.labels[:250])
    paused = RiverModel.load(paused.files(), SCHEMA, key=KEY)
    paused.learn(made.matrix[250:], made.labels[250:])
    assert paused.score(made.matrix).tobytes() == taught().score(made.matrix).tobytes()


def test_scores_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Python salts the order of sets by process; a sum of floats must not follow it."""
    (tmp_path / CHECKPOINT_FILE).write_bytes(taught().files()[CHECKPOINT_FILE])
    script = (
        "import sys, pathlib; from tests.scorer.rows import SCHEMA, rows; from scorer.models import load_model\n"
        f"path = pathlib.Path(sys.argv[1]) / {CHECKPOINT_FILE!r}\n"
        f"model = load_model('river', {{path.name: path.read_bytes()}}, SCHEMA, key={KEY!r})\n"
        "print(model.score(rows(50, seed=8).matrix).tobytes().hex())"
    )
    scored = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    assert scored.decode().strip() == taught().score(rows(50, seed=8).matrix).tobytes().hex()


@pytest.mark.parametrize("place", [len(_MAGIC), len(_MAGIC) + 40, -1], ids=["signature", "payload", "end"])
def test_a_changed_checkpoint_is_refused_before_it_is_unpickled(place: int) -> None:
    data = bytearray(taught().files()[CHECKPOINT_FILE])
    data[place] ^= 1
    with pytest.raises(SignatureError, match="not signed with this key"):
        RiverModel.load({CHECKPOINT_FILE: bytes(data)}, SCHEMA, key=KEY)


class Bomb:
    exploded = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Bomb, "exploded", True)


def test_a_pickle_of_somebody_else_never_runs() -> None:
    data = _MAGIC + bytes(32) + pickle.dumps(Bomb())
    with pytest.raises(SignatureError):
        RiverModel.load({CHECKPOINT_FILE: data}, SCHEMA, key=KEY)
    with pytest.raises(ModelFileError):
        RiverModel.load({CHECKPOINT_FILE: pickle.dumps(Bomb())}, SCHEMA, key=KEY)
    assert not Bomb.exploded


def test_another_key_no_key_and_a_short_key_are_refused() -> None:
    files = taught(10).files()
    for key in (b"another key of 16", None, b"short"):
        with pytest.raises(SignatureError):
            RiverModel.load(files, SCHEMA, key=key)
    with pytest.raises(SignatureError, match="TIDEGATE_CHECKPOINT_KEY"):
        RiverModel(SCHEMA, "binary").files()


def test_a_model_that_diverged_gives_no_checkpoint() -> None:
    made = rows(50, task="regression")
    model = RiverModel(SCHEMA, "regression", learning_rate=1e308, key=KEY)
    model.learn(made.matrix, made.labels)
    with pytest.raises(NonFiniteModelError, match="go back to the last checkpoint"):
        model.files()


def test_infinite_inputs_do_not_poison_the_weights() -> None:
    model = taught(100)
    model.learn(np.array([[np.inf, np.nan, -np.inf, 1.0]]), np.array([1.0]))
    model.files()


@pytest.mark.parametrize("labels", [[2.0], [0.5], [np.nan], [0.0, 1.0]])
def test_labels_that_do_not_fit_are_refused_and_nothing_is_learnt(labels: list[float]) -> None:
    model = taught(50)
    before = model.files()
    with pytest.raises(ScoringError):
        model.learn(rows(1).matrix, np.array(labels))
    assert model.files() == before
