"""The folder of a version: the model's files, a manifest that says everything about it, and golden rows that prove it.

A version is read in this order: hashes, model, features, golden rows; whatever fails, the version does not serve. Where folders
come from is left to scorer.registry.
"""

import hashlib
import importlib.metadata
import io
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from featurestore.schema import FeatureSchema
from scorer.errors import ArtifactError, GoldenMismatchError, HashMismatchError
from scorer.models import Matrix, Model, Scores, load_model
from scorer.models.port import check_matrix, select_columns
from scorer.pipeline import Task

if TYPE_CHECKING:
    from monitors.drift.profile import Profile

MANIFEST_FILE, GOLDEN_FILE = "manifest.json", "golden.npz"
GOLDEN_ROWS = 100
_LIBRARIES = ("lightgbm", "river", "numpy", "scikit-learn")


class Dataset(msgspec.Struct, frozen=True):
    """Which rows a model was trained on: their number, a SHA-256 of their content, and where they came from."""

    rows: int
    content_hash: str
    source: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a version besides its model. Times are seconds since the epoch."""

    pipeline: str
    model_name: str
    owner: str
    created: float
    threshold: float = 0.5
    metrics: dict[str, float | None] = {}  # null: meaningless on this data
    training_window: tuple[float, float] | None = None
    dataset: Dataset | None = None
    seed: int | None = None
    params: dict[str, str | int | float | bool | None] = {}
    git_commit: str | None = None
    git_dirty: bool | None = None
    warnings: list[str] = []


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What manifest.json holds. ``files`` has the SHA-256 of every other file of the folder."""

    kind: str
    task: Task
    schema: FeatureSchema
    fingerprint: str
    facts: Facts
    libraries: dict[str, str]
    files: dict[str, str]
    format: int = 1


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A verified model, ready to score vectors of the running schema. ``hash`` identifies the version's content."""

    manifest: Manifest
    model: Model
    hash: str
    _columns: npt.NDArray[np.intp] | None

    def score(self, matrix: Matrix) -> Scores:
        """Scores of rows of the running schema, shape (n, running features), of which the model takes its own."""
        return self.model.score(matrix if self._columns is None else matrix[:, self._columns])


def write_artifact(
    folder: Path, model: Model, golden: Matrix, facts: Facts, extra: Mapping[str, bytes] | None = None
) -> Manifest:
    """Writes a version into a new folder and returns its manifest.

    ``golden`` are rows of the model's schema whose scores every loader must reproduce; ``extra`` further files (reference
    profile, model card). ArtifactError where the folder exists: versions are never overwritten.
    """
    check_matrix(golden, model.schema)
    files = {**model.files(), GOLDEN_FILE: _encode_golden(golden, model.score(golden))}
    taken = sorted(name for name in extra or {} if name in files or name == MANIFEST_FILE or Path(name).name != name)
    if taken:
        raise ArtifactError(f"extra file {taken[0]!r} is taken or not a plain file name; name it otherwise")
    files.update(extra or {})
    manifest = Manifest(
        kind=model.kind,
        task=model.task,
        schema=model.schema,
        fingerprint=model.schema.fingerprint,
        facts=facts,
        libraries=library_versions(),
        files={name: _sha256(data) for name, data in sorted(files.items())},
    )
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise ArtifactError(f"{folder} exists, and versions are never overwritten; choose another folder") from error
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    return manifest


def load_artifact(
    folder: Path,
    running: FeatureSchema | None = None,
    *,
    expected_hash: str | None = None,
    threads: int = 1,
    key: bytes | None = None,
    answers: Path | None = None,
) -> LoadedVersion:
    """Reads, verifies and proves a version; whatever is wrong raises an ArtifactError, SchemaMismatchError or ModelFileError.

    ``running`` is the schema of the vectors to be scored (None: the model's own); ``expected_hash`` what the registry or the
    deployment says; ``key`` opens River checkpoints; ``answers`` is a scoring process's folder of LightGBM's, see LightGBMModel.
    """
    manifest = verify_folder(folder, expected_hash)
    files = _read_files(folder, manifest)
    model = load_model(manifest.kind, files, manifest.schema, threads=threads, key=key, answers=answers)
    owner = f"{manifest.facts.model_name} in {folder.name}"
    columns = None if running is None else select_columns(manifest.schema, running, owner)
    _check_golden(model, folder, manifest)
    return LoadedVersion(manifest, model, artifact_hash(folder), columns)


def verify_folder(folder: Path, expected_hash: str | None = None) -> Manifest:
    """The manifest, once every file has the SHA-256 it states, and it has the expected one itself; HashMismatchError if not."""
    manifest = read_manifest(folder)
    remedy = f"delete {folder} and fetch the version again"
    if expected_hash is not None and artifact_hash(folder) != expected_hash:
        raise HashMismatchError(f"{folder} holds another version's content than the {expected_hash[:12]} recorded; {remedy}")
    for name, recorded in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ArtifactError(f"{folder} lacks {name}; {remedy}")
        _check_hash(path, path.read_bytes(), recorded)
    return manifest


def read_profile(folder: Path) -> "Profile | None":
    """The reference profile, once its file has the SHA-256 that the manifest states; None for a version that has none."""
    from monitors.drift.profile import PROFILE_FILE, Profile  # and with it SciPy: 26 MiB that no worker needs

    recorded = read_manifest(folder).files.get(PROFILE_FILE)
    if recorded is None:
        return None
    try:
        data = (folder / PROFILE_FILE).read_bytes()
        _check_hash(folder / PROFILE_FILE, data, recorded)
        return Profile.decode(data)
    except (OSError, msgspec.DecodeError) as error:
        raise ArtifactError(f"{folder} has no readable {PROFILE_FILE} ({error}); fetch the version again") from error


def read_manifest(folder: Path) -> Manifest:
    """The manifest, with nothing verified; ArtifactError where it is missing or cannot be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise ArtifactError(f"{folder} has no readable {MANIFEST_FILE} ({error}); fetch the version again") from error


def artifact_hash(folder: Path) -> str:
    """SHA-256 of the manifest, which holds the SHA-256 of every other file: it identifies the whole version."""
    return _sha256((folder / MANIFEST_FILE).read_bytes())


def library_versions() -> dict[str, str]:
    """The versions that a score's last bits may depend on."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **versions, "platform": f"{platform.machine()} {'-'.join(platform.libc_ver())}"}


def _check_hash(path: Path, data: bytes, recorded: str) -> None:
    if _sha256(data) != recorded:
        remedy = f"delete {path.parent} and fetch the version again"
        raise HashMismatchError(f"{path} was changed since it was written (its SHA-256 is not {recorded[:12]}); {remedy}")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in manifest.files}


def _encode_golden(rows: Matrix, scores: Scores) -> bytes:
    written = io.BytesIO()
    np.savez(written, rows=rows, scores=scores)
    return written.getvalue()


def _check_golden(model: Model, folder: Path, manifest: Manifest) -> None:
    try:
        with np.load(folder / GOLDEN_FILE, allow_pickle=False) as held:
            rows, recorded = held["rows"], held["scores"]
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{folder} has no readable {GOLDEN_FILE} ({error}); fetch the version again") from error
    scores = model.score(rows)
    if scores.shape == recorded.shape and scores.tobytes() == recorded.tobytes():
        return
    here = library_versions()
    differs = [
        f"{name} {version}, here {here.get(name)}" for name, version in manifest.libraries.items() if here.get(name) != version
    ]
    raise GoldenMismatchError(
        f"{manifest.facts.model_name} in {folder.name} does not reproduce its golden rows ({_difference(scores, recorded)}); "
        f"it was written with {'; '.join(differs) or 'the same libraries'}: install those, or register the model again here"
    )


def _difference(scores: Scores, recorded: Scores) -> str:
    if scores.shape != recorded.shape:
        return f"scores of shape {scores.shape}, recorded {recorded.shape}"
    unequal = np.flatnonzero((scores != recorded).reshape(len(scores), -1).any(axis=1))
    if not len(unequal):
        return "NaN or the sign of zero differ"
    row = int(unequal[0])
    return f"{len(unequal)} of {len(scores)} rows; row {row} scores {scores[row]!r}, recorded {recorded[row]!r}"
