"""Same rows and seed, same bytes; what is learnt is reported; bad data is refused before a tree is grown."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from scorer.errors import TrainingRefusedError
from scorer.training import TrainedModel, content_hash, git_state, golden_rows, train
from tests.scorer.rows import HOUR, SCHEMA, SHOPS, SMALL, Rows, rows


def trained_on(made: Rows, seed: int = 3, **overrides: int) -> TrainedModel:
    return train(
        made.matrix,
        made.labels,
        made.times,
        SCHEMA,
        task="binary",
        seed=seed,
        gap_seconds=HOUR,
        params={**SMALL, **overrides},
        rounds_max=20,
        texts={"shop": SHOPS},
    )


def test_the_same_rows_and_seed_give_the_same_bytes_on_any_number_of_threads() -> None:
    one, again, threaded = trained_on(rows()), trained_on(rows()), trained_on(rows(), num_threads=2)
    assert one.model.files() == again.model.files() == threaded.model.files()
    assert one.golden.tobytes() == again.golden.tobytes()
    assert trained_on(rows(), seed=4).model.text != one.model.text


def test_it_learns_and_stops_early(trained: TrainedModel) -> None:
    assert trained.metrics["auc"] > 0.9
    assert 1 <= trained.rounds <= 40


def test_metrics_are_of_the_validation_rows(trained: TrainedModel) -> None:
    made = rows()
    scores = trained.model.score(made.matrix[trained.split.validation])
    assert trained.metrics["rows"] == len(scores)
    assert trained.metrics["brier"] == np.mean((scores - made.labels[trained.split.validation]) ** 2)


def test_the_vocabulary_is_of_the_training_rows_alone() -> None:
    made = rows()
    made.matrix[-10:, 1] = 12345.0
    assert 12345 not in trained_on(made).model.encoding.vocabularies["shop"].codes


def test_progress_is_told_each_round() -> None:
    made, told = rows(), list[tuple[int, int, float]]()
    train(
        made.matrix,
        made.labels,
        made.times,
        SCHEMA,
        task="regression",
        seed=1,
        gap_seconds=HOUR,
        params=SMALL,
        rounds_max=5,
        progress=lambda *step: told.append(step),
    )
    assert [(done, limit) for done, limit, _ in told] == [(i, 5) for i in range(1, 6)]
    assert told[-1][2] < told[0][2]


def test_refused_data_is_not_trained_on() -> None:
    made = rows(100)
    with pytest.raises(TrainingRefusedError, match="2000 are needed"):
        trained_on(made)


def test_colliding_texts_are_a_warning() -> None:
    made = rows()
    found = train(
        made.matrix,
        made.labels,
        made.times,
        SCHEMA,
        task="binary",
        seed=1,
        gap_seconds=HOUR,
        params=SMALL,
        rounds_max=2,
        texts={"shop": ["plumless", "buckeroo"]},
    )
    assert "'buckeroo', 'plumless'" in found.warnings[0]


def test_the_content_hash_changes_with_any_bit_and_any_column() -> None:
    made = rows(50)
    first = content_hash(made.matrix, made.labels, made.times, SCHEMA)
    made.matrix[7, 0] = np.nextafter(made.matrix[7, 0], 9)
    assert content_hash(made.matrix, made.labels, made.times, SCHEMA) != first
    assert content_hash(np.asfortranarray(rows(50).matrix), made.labels, made.times, SCHEMA) == first


def test_golden_rows_are_drawn_by_the_seed() -> None:
    matrix = rows(500).matrix
    assert golden_rows(matrix, 1).shape == (100, 4)
    assert golden_rows(matrix, 1).tobytes() == golden_rows(matrix, 1).tobytes() != golden_rows(matrix, 2).tobytes()
    assert len(golden_rows(matrix[:7], 1)) == 7


def test_git_state_says_commit_and_changes(tmp_path: Path) -> None:
    assert git_state(tmp_path) == (None, None)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, timeout=10)
    commit, dirty = git_state(tmp_path)
    assert (len(commit or ""), dirty) == (40, False)
    (tmp_path / "new").write_text("")
    assert git_state(tmp_path) == (commit, True)
