"""The registry keeps versions apart, proves what it hands out, and is not needed for what is in the cache.

Runs on a real MLflow with SQLite, made once: MLflow takes seconds to create its tables.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from scorer.artifact import MANIFEST_FILE, artifact_hash, load_artifact, read_manifest, write_artifact
from scorer.cache import fetch_in_child, find_cached
from scorer.errors import ArtifactError, HashMismatchError, RegistryError, UnknownVersionError
from scorer.registry import MLflowRegistry, Registry, local_uri
from scorer.training import TrainedModel
from tests.scorer.rows import SCHEMA

HOME = "registry with a space"
CHILD_SECONDS = 240.0  # a child imports MLflow, in seconds on an idle machine


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home") / HOME


@pytest.fixture(scope="module")
def registry(home: Path) -> Registry:
    return MLflowRegistry(local_uri(home))


@pytest.fixture
def named(trained: TrainedModel, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A version of a model named after the test, so that tests share the registry and nothing in it."""
    folder = tmp_path / "named"
    name = request.node.name.removeprefix("test_")[:60]
    write_artifact(folder, trained.model, trained.golden, trained.facts(pipeline="p", model_name=name, owner="o", created=0.0))
    return folder


def name_of(folder: Path) -> str:
    return read_manifest(folder).facts.model_name


def test_what_was_registered_is_fetched(registry: Registry, named: Path, tmp_path: Path) -> None:
    name = name_of(named)
    assert registry.register(named) == 1
    folder = registry.fetch(name, 1, tmp_path / "cache")
    assert artifact_hash(folder) == artifact_hash(named)
    load_artifact(folder, SCHEMA)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [name]


def test_versions_are_numbered_and_never_overwritten(registry: Registry, named: Path, tmp_path: Path) -> None:
    name = name_of(named)
    first = artifact_hash(named)
    assert registry.register(named) == 1
    (named / MANIFEST_FILE).write_bytes((named / MANIFEST_FILE).read_bytes() + b"\n")
    assert registry.register(named) == 2
    assert artifact_hash(registry.fetch(name, 1, tmp_path / "cache")) == first
    assert [(version.version, version.hash) for version in registry.versions(name)] == [(1, first), (2, artifact_hash(named))]


def test_aliases_move(registry: Registry, named: Path) -> None:
    name = name_of(named)
    registry.register(named)
    registry.register(named)
    assert registry.alias(name, "champion") is None
    registry.set_alias(name, "champion", 1)
    registry.set_alias(name, "champion", 2)
    registry.set_alias(name, "shadow", 2)
    assert registry.alias(name, "champion") == 2
    assert [version.aliases for version in registry.versions(name)] == [[], ["champion", "shadow"]]


def test_what_is_unknown_is_said(registry: Registry, named: Path, tmp_path: Path) -> None:
    name = name_of(named)
    assert registry.versions(name) == []
    with pytest.raises(UnknownVersionError, match="is it the registry it was trained into"):
        registry.alias(name, "champion")
    registry.register(named)
    for ask in (lambda: registry.fetch(name, 2, tmp_path), lambda: registry.set_alias(name, "champion", 2)):
        with pytest.raises(UnknownVersionError, match="version 2"):
            ask()


@pytest.mark.parametrize("name", ["../escape", "", "a/b", ".hidden", "a'b"])
def test_a_name_that_is_no_folder_is_refused(registry: Registry, name: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot name a model"):
        registry.fetch(name, 1, tmp_path)


def test_a_damaged_version_is_not_registered(registry: Registry, named: Path) -> None:
    (named / "model.txt").write_bytes(b"other")
    with pytest.raises(HashMismatchError):
        registry.register(named)
    assert registry.versions(name_of(named)) == []


def test_files_changed_in_the_registry_are_not_handed_out(registry: Registry, home: Path, named: Path, tmp_path: Path) -> None:
    name = name_of(named)
    registry.register(named)
    (stored,) = (home / "artifacts" / name).rglob(MANIFEST_FILE)
    stored.write_bytes(stored.read_bytes() + b" ")
    with pytest.raises(HashMismatchError, match="another version's content"):
        registry.fetch(name, 1, tmp_path / "cache")
    stored.unlink()
    with pytest.raises(ArtifactError):
        registry.fetch(name, 1, tmp_path / "cache")
    assert find_cached(tmp_path / "cache", name, 1) is None


def test_a_damaged_cache_is_replaced(registry: Registry, named: Path, tmp_path: Path) -> None:
    name = name_of(named)
    registry.register(named)
    folder = registry.fetch(name, 1, tmp_path / "cache")
    (folder / "model.txt").write_bytes(b"other")
    assert find_cached(tmp_path / "cache", name, 1) is None
    assert registry.fetch(name, 1, tmp_path / "cache") == folder
    load_artifact(folder, SCHEMA)


def test_a_child_fetches_once_and_the_cache_serves_without_a_registry(
    registry: Registry, home: Path, named: Path, tmp_path: Path
) -> None:
    name, digest, cache = name_of(named), artifact_hash(named), tmp_path / "cache"
    registry.register(named)
    folder = fetch_in_child(name, 1, cache, uri=local_uri(home), artifact_hash=digest, timeout_seconds=CHILD_SECONDS)
    load_artifact(folder, SCHEMA, expected_hash=digest)
    nowhere = "http://127.0.0.1:9"
    assert fetch_in_child(name, 1, cache, uri=nowhere, artifact_hash=digest) == folder
    assert fetch_in_child(name, 1, cache, uri=nowhere) == folder


def test_a_cached_version_of_another_registry_is_not_taken(named: Path, tmp_path: Path) -> None:
    name = name_of(named)
    folder = tmp_path / "cache" / name / f"1-{artifact_hash(named)[:16]}"
    shutil.copytree(named, folder)
    assert find_cached(tmp_path / "cache", name, 1, artifact_hash(named)) == folder
    assert find_cached(tmp_path / "cache", name, 1, "0" * 64) is None


def test_the_childs_error_is_the_parents(registry: Registry, home: Path, named: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownVersionError, match="version 7"):
        fetch_in_child(name_of(named), 7, tmp_path / "cache", uri=local_uri(home), timeout_seconds=CHILD_SECONDS)


def test_a_registry_that_cannot_be_opened_is_an_error_with_its_address() -> None:
    with pytest.raises(RegistryError, match="nosuchscheme://somewhere"):
        MLflowRegistry("nosuchscheme://somewhere")


def test_the_helper_imports_no_mlflow() -> None:
    script = (
        "import sys, scorer.cache, scorer.registry, scorer.deployments\n"
        "sys.exit(bool({'mlflow', 'lightgbm', 'river', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0


def test_the_registry_connects_to_nobody(home: Path, registry: Registry, named: Path) -> None:
    """MLflow would report its use to its makers: every connection of a whole request is refused here, and none is tried."""
    registry.register(named)
    script = (
        "import sys\n"
        "seen = []\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        seen.append(event); raise OSError('no network in this test')\n"
        "sys.addaudithook(watch)\n"
        "from scorer.registry import main\n"
        "code = main(sys.argv[1:])\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "sys.exit(code or len(seen) or get_telemetry_client() is not None)\n"
    )
    plain = {"PATH": os.environ["PATH"], "HOME": str(home)}  # under pytest and in CI MLflow holds its tongue by itself
    done = subprocess.run(
        [sys.executable, "-c", script, "versions", name_of(named), "--uri", local_uri(home)],
        env=plain,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=CHILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(msgspec.json.decode(done.stdout)["versions"]) == 1
