"""A version carries the profile of its training rows and of what it said of the validation rows."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from monitors.drift.profile import PREDICTIONS, PROFILE_FILE, Profile
from scorer.artifact import read_profile, verify_folder, write_artifact
from scorer.errors import ArtifactError, HashMismatchError
from scorer.monitoring import Monitoring
from scorer.pipeline import Task
from scorer.reference import predictions, reference_profile
from scorer.training import TrainedModel
from streams.serving import decide
from tests.scorer.rows import SCHEMA, SHOPS, code, rows


def profiled(version: Path, trained: TrainedModel) -> Path:
    folder = version.parent / "profiled"
    facts = trained.facts(pipeline="payments", model_name="fraud", owner="risk", created=1.0)
    write_artifact(folder, trained.model, trained.golden, facts, trained.extra)
    return folder


def test_the_profile_is_of_all_labelled_rows_and_of_the_validation_rows_predictions(trained: TrainedModel) -> None:
    made = rows()
    profile = trained.profile
    assert profile.names == [*SCHEMA.names, *PREDICTIONS]
    assert [feature.m for feature in profile.features] == [3_000] * 4 + [600] * 3
    assert profile.features[2].counts[-1] == np.isnan(made.matrix[:, 2]).sum()
    decided = dict(zip(profile.features[5].labels, profile.features[5].counts, strict=True))
    scores = trained.model.score(made.matrix[trained.split.validation])
    assert decided == {"true": (scores >= 0.5).sum(), "false": (scores < 0.5).sum(), "other": 0, "missing": 0}
    assert profile.metrics["auc"] == trained.metrics["auc"]


def test_categories_have_their_texts(trained: TrainedModel) -> None:
    shop = trained.profile.features[1]
    assert dict(zip(shop.codes, shop.labels, strict=False)) == {code(text): text for text in SHOPS}


def test_it_is_read_from_the_folder_as_it_was_made(version: Path, trained: TrainedModel) -> None:
    folder = profiled(version, trained)
    found = read_profile(folder)
    assert found == trained.profile
    assert found is not None
    assert found.id == trained.profile.id
    verify_folder(folder)


def test_a_version_without_a_profile_has_none(version: Path) -> None:
    assert read_profile(version) is None


def test_a_profile_that_was_changed_is_refused(version: Path, trained: TrainedModel) -> None:
    folder = profiled(version, trained)
    data = (folder / PROFILE_FILE).read_bytes()
    (folder / PROFILE_FILE).write_bytes(data.replace(b"amount", b"amounT"))
    with pytest.raises(HashMismatchError, match=r"profile\.json was changed"):
        read_profile(folder)
    (folder / PROFILE_FILE).unlink()
    with pytest.raises(ArtifactError, match=r"profile\.json"):
        read_profile(folder)


def test_the_same_rows_give_the_same_bytes(trained: TrainedModel) -> None:
    made = rows()
    scores = trained.model.score(made.matrix[trained.split.validation])
    again = reference_profile(
        made.matrix,
        made.times,
        SCHEMA,
        predictions("binary", scores, 0.5),
        "binary",
        Monitoring(),
        trained.metrics,
        {"shop": SHOPS},
    )
    assert again.encode() == trained.profile.encode()


def test_the_declared_window_is_the_profiles(trained: TrainedModel) -> None:
    made = rows()
    scores = trained.model.score(made.matrix[trained.split.validation])

    def with_window(window: int | str) -> Profile:
        monitoring = Monitoring(window=window)
        return reference_profile(made.matrix, made.times, SCHEMA, predictions("binary", scores, 0.5), "binary", monitoring, {})

    assert (with_window(500).window_events, with_window(500).window_seconds) == (500, None)
    timed = with_window("40m")  # a row a minute
    assert (timed.window_events, timed.window_seconds, timed.chunk_events) == (None, 2400.0, 40)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_predictions_are_those_that_workers_publish(task: Task) -> None:
    """The rule is written twice, since scorer does not import streams: for arrays here, for records there."""
    random = np.random.default_rng(3)
    scores = random.dirichlet([1, 1, 1], 200) if task == "multiclass" else random.random(200)
    said = decide(task, scores, 0.3)
    published = np.array([said.scores, said.decisions, said.confidences], dtype=np.float64).T
    np.testing.assert_array_equal(predictions(task, scores, 0.3), published)


def test_a_profile_is_json_without_nan(trained: TrainedModel) -> None:
    read = msgspec.json.decode(trained.profile.encode())
    assert read["features"][0]["name"] == "amount"
    assert b"NaN" not in trained.profile.encode()
