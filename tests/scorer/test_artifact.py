"""A version proves itself when it is loaded: its hashes, its features, its golden rows."""

import hashlib
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from featurestore.schema import FeatureColumn, FeatureKind, FeatureSchema
from scorer.artifact import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    Facts,
    artifact_hash,
    load_artifact,
    read_manifest,
    verify_folder,
    write_artifact,
)
from scorer.errors import ArtifactError, GoldenMismatchError, HashMismatchError, SchemaMismatchError, SignatureError
from scorer.models.river import RiverModel
from scorer.training import TrainedModel
from tests.scorer.rows import SCHEMA, rows


def rehash(folder: Path, name: str) -> None:
    """Makes the manifest agree with a file that was changed, as a careless hand would."""
    manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes())
    manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))


def test_a_version_loads_and_scores_as_its_model(version: Path, trained: TrainedModel) -> None:
    matrix = rows(50, seed=2).matrix
    loaded = load_artifact(version, SCHEMA, expected_hash=artifact_hash(version))
    assert loaded.score(matrix).tobytes() == trained.model.score(matrix).tobytes()
    assert loaded.hash == artifact_hash(version)


def test_the_manifest_says_where_the_version_comes_from(version: Path) -> None:
    manifest = read_manifest(version)
    assert (manifest.task, manifest.kind, manifest.fingerprint) == ("binary", "lightgbm", SCHEMA.fingerprint)
    assert manifest.facts.dataset is not None
    assert manifest.facts.dataset.rows == 3_000
    assert manifest.facts.training_window == (0.0, 2_999 * 60.0)
    assert manifest.facts.metrics["auc"]
    assert set(manifest.files) == {"model.txt", "encoding.json", GOLDEN_FILE, "reference.json"}
    assert "lightgbm" in manifest.libraries


def test_a_version_is_written_byte_for_byte_the_same(version: Path, trained: TrainedModel, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_artifact(again, trained.model, trained.golden, read_manifest(version).facts, extra={"reference.json": b"{}"})
    assert artifact_hash(again) == artifact_hash(version)


def test_a_version_is_never_overwritten(version: Path, trained: TrainedModel) -> None:
    with pytest.raises(ArtifactError, match="never overwritten"):
        write_artifact(version, trained.model, trained.golden, read_manifest(version).facts)


@pytest.mark.parametrize("name", ["model.txt", MANIFEST_FILE, "../outside"])
def test_an_extra_file_takes_no_other_files_place(trained: TrainedModel, tmp_path: Path, name: str) -> None:
    facts = trained.facts(pipeline="payments", model_name="fraud", owner="risk", created=0.0)
    with pytest.raises(ArtifactError, match="name it otherwise"):
        write_artifact(tmp_path / "new", trained.model, trained.golden, facts, extra={name: b""})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["model.txt", "encoding.json", GOLDEN_FILE, "reference.json"])
def test_a_changed_or_missing_file_is_named(version: Path, name: str) -> None:
    path = version / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(HashMismatchError, match=name):
        load_artifact(version)
    path.unlink()
    with pytest.raises(ArtifactError, match=f"lacks {name}"):
        load_artifact(version)


def test_another_version_than_the_one_deployed_is_refused(version: Path) -> None:
    with pytest.raises(HashMismatchError, match="another version's content"):
        load_artifact(version, expected_hash="0" * 64)


def test_a_manifest_that_names_files_outside_is_refused(version: Path) -> None:
    manifest = msgspec.json.decode((version / MANIFEST_FILE).read_bytes())
    manifest["files"]["../other"] = "0"
    (version / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(ArtifactError, match="other"):
        verify_folder(version)


@pytest.mark.parametrize("data", [b"", b"{}", b"not json"])
def test_an_unreadable_manifest_is_refused(version: Path, data: bytes) -> None:
    (version / MANIFEST_FILE).write_bytes(data)
    with pytest.raises(ArtifactError, match="fetch the version again"):
        load_artifact(version)


def test_golden_rows_catch_a_model_that_scores_otherwise(version: Path) -> None:
    with np.load(version / GOLDEN_FILE) as held:
        rows_, scores = held["rows"], held["scores"].copy()
    scores[3] = np.nextafter(scores[3], 1)
    np.savez(version / GOLDEN_FILE, rows=rows_, scores=scores)
    rehash(version, GOLDEN_FILE)
    with pytest.raises(GoldenMismatchError, match=r"1 of 100 rows; row 3 .* the same libraries"):
        load_artifact(version)


def test_a_golden_mismatch_names_the_library_that_changed(version: Path) -> None:
    encoding = version / "encoding.json"
    encoding.write_bytes(encoding.read_bytes().replace(b'"codes": [', b'"codes": [1,').replace(b'"texts": [', b'"texts": [null,'))
    rehash(version, "encoding.json")
    manifest = msgspec.json.decode((version / MANIFEST_FILE).read_bytes())
    manifest["libraries"]["lightgbm"] = "3.0.0"
    (version / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(GoldenMismatchError, match=r"lightgbm 3\.0\.0, here 4"):
        load_artifact(version)


def test_a_golden_file_with_a_pickle_is_refused(version: Path) -> None:
    np.savez(version / GOLDEN_FILE, rows=np.array([{}], dtype=object), scores=np.zeros(1))
    rehash(version, GOLDEN_FILE)
    with pytest.raises(ArtifactError, match=GOLDEN_FILE):
        load_artifact(version)


def test_features_may_be_a_subset_of_those_running_in_any_order(version: Path, trained: TrainedModel) -> None:
    extra = FeatureColumn("extra", FeatureKind.NUMBER)
    running = FeatureSchema((SCHEMA.columns[3], extra, *SCHEMA.columns[:3]))
    matrix = rows(40, seed=2).matrix
    served = np.column_stack([matrix[:, 3], np.zeros(40), matrix[:, :3]])
    assert load_artifact(version, running).score(served).tobytes() == trained.model.score(matrix).tobytes()


def test_a_feature_that_does_not_run_or_runs_as_another_kind_is_named(version: Path) -> None:
    with pytest.raises(SchemaMismatchError, match="needs feature 'count'"):
        load_artifact(version, FeatureSchema(SCHEMA.columns[:3]))
    number = FeatureColumn("shop", FeatureKind.NUMBER)
    with pytest.raises(SchemaMismatchError, match="'shop' as a category, but the pipeline computes a number"):
        load_artifact(version, FeatureSchema((SCHEMA.columns[0], number, *SCHEMA.columns[2:])))


def test_a_river_version_needs_its_key(tmp_path: Path) -> None:
    made, key = rows(300), b"0123456789abcdef"
    model = RiverModel(SCHEMA, "binary", key=key)
    model.learn(made.matrix, made.labels)
    facts = Facts(pipeline="payments", model_name="fraud", owner="risk", created=0.0)
    write_artifact(tmp_path / "river", model, made.matrix[:20], facts)
    loaded = load_artifact(tmp_path / "river", key=key)
    assert loaded.score(made.matrix).tobytes() == model.score(made.matrix).tobytes()
    with pytest.raises(SignatureError):
        load_artifact(tmp_path / "river")


def test_a_folder_can_be_copied(version: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(version, tmp_path / "copy")
    assert artifact_hash(copy) == artifact_hash(version)
    load_artifact(copy, SCHEMA)
