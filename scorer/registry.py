"""The registry of versions, on MLflow: a SQLite file and a folder, or any MLflow server.

MLflow is imported when a registry is made, never at import of this module; workers run it as a child process,
``python -m scorer.registry fetch NAME VERSION --cache DIR --uri URI`` (scorer.cache). What should run is left to
scorer.deployments: aliases only mirror it.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from scorer.artifact import Manifest, artifact_hash, verify_folder
from scorer.cache import checked_name, find_cached, install, temporary_folder
from scorer.errors import RegistryError, ScorerError, UnknownVersionError

_HASH_TAG, _PIPELINE_TAG, _FINGERPRINT_TAG = "tidegate.hash", "tidegate.pipeline", "tidegate.schema"
_SUBFOLDER = "version"
_SQLITE = "sqlite:///"
# MLflow retries a dead server for minutes by itself; a worker would rather hear of it. No word leaves for MLflow's makers.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # of runs at a server, between our own lines
}


class RegisteredVersion(msgspec.Struct, frozen=True):
    """A version as the registry records it; ``hash`` is its ``artifact_hash``, ``created`` in seconds since the epoch."""

    name: str
    version: int
    hash: str
    created: float
    aliases: list[str]


class Registry(Protocol):
    """Keeps versions by model name, numbered from 1, never overwritten."""

    def register(self, folder: Path) -> int:
        """Verifies a version's folder and keeps a copy of it under its manifest's model name; returns the new version."""
        ...

    def fetch(self, name: str, version: int, cache: Path) -> Path:
        """The folder of a version, verified against the registry's own record, in the cache."""
        ...

    def set_alias(self, name: str, alias: str, version: int) -> None: ...

    def alias(self, name: str, alias: str) -> int | None: ...

    def versions(self, name: str) -> list[RegisteredVersion]:
        """All versions of a model, oldest first; none for an unknown model."""
        ...


def local_uri(folder: Path) -> str:
    """Address of the registry in a local folder: its database is ``mlflow.db`` there, its artifacts lie beside it."""
    return f"{_SQLITE}{folder.absolute() / 'mlflow.db'}"


class MLflowRegistry:
    """The registry on MLflow at ``uri``: ``local_uri(folder)``, another database, or the address of a server.

    MLflow's own environment variables for servers (credentials, TLS) are honoured by MLflow.
    """

    def __init__(self, uri: str, create: bool = True) -> None:
        """With ``create`` False a local registry that is not there is a RegistryError, not an empty new one."""
        if not create and uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).is_file():
            raise RegistryError(f"there is no registry at {uri}; set MLFLOW_TRACKING_URI to the one it was trained into")
        self._uri, self._artifacts = uri, _artifacts_beside(uri)
        self._client = _client(uri)

    def register(self, folder: Path) -> int:
        manifest, digest = verify_folder(folder), artifact_hash(folder)
        name = checked_name(manifest.facts.model_name)
        with self._errors(name):
            self._create_model(name)
            run = self._client.create_run(self._experiment(name), tags={"mlflow.runName": f"{name} {digest[:8]}"}).info
            self._log_facts(run.run_id, manifest)
            self._client.log_artifacts(run.run_id, str(folder), _SUBFOLDER)
            tags = {
                _HASH_TAG: digest,
                _PIPELINE_TAG: manifest.facts.pipeline,
                _FINGERPRINT_TAG: manifest.fingerprint,
            }
            created = self._client.create_model_version(name, f"{run.artifact_uri}/{_SUBFOLDER}", run.run_id, tags=tags)
            self._client.set_terminated(run.run_id)
            return int(created.version)

    def fetch(self, name: str, version: int, cache: Path) -> Path:
        with self._errors(f"{checked_name(name)} version {version}"):
            record = self._client.get_model_version(name, str(version))
        digest = record.tags.get(_HASH_TAG)
        if digest is None:
            raise RegistryError(
                f"{name} version {version} at {self._uri} was not written by Tidegate; use: tidegate models register"
            )
        found = find_cached(cache, name, version, digest)
        if found is not None:
            return found
        with temporary_folder(cache) as temporary, self._errors(f"the files of {name} version {version}"):
            folder = self._download(record.source, temporary)
            verify_folder(folder, digest)
            return install(cache, name, version, folder)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        with self._errors(f"{checked_name(name)} version {version}"):
            self._client.get_model_version(name, str(version))  # MLflow itself takes aliases of versions that do not exist
            self._client.set_registered_model_alias(name, checked_name(alias), str(version))

    def alias(self, name: str, alias: str) -> int | None:
        """The version an alias names; None where nobody set it, UnknownVersionError for an unknown model."""
        with self._errors(checked_name(name)):
            found = self._client.get_registered_model(name).aliases.get(alias)
        return None if found is None else int(found)

    def versions(self, name: str) -> list[RegisteredVersion]:
        try:
            with self._errors(checked_name(name)):
                aliases: dict[str, Any] = self._client.get_registered_model(name).aliases
        except UnknownVersionError:
            return []
        with self._errors(name):
            found = [_registered(record, aliases) for record in self._pages(name)]
        return sorted(found, key=lambda version: version.version)

    def _pages(self, name: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_model_versions(f"name='{name}'", page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create_model(self, name: str) -> None:
        if not list(self._client.search_registered_models(f"name='{name}'", max_results=1)):
            self._client.create_registered_model(name)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._artifacts is None else (self._artifacts / name).as_uri()
        return str(self._client.create_experiment(name, artifact_location=location))

    def _log_facts(self, run_id: str, manifest: Manifest) -> None:
        for key, value in manifest.facts.params.items():
            self._client.log_param(run_id, key, value)
        for key, metric in manifest.facts.metrics.items():
            if metric is not None:
                self._client.log_metric(run_id, key, metric)

    def _download(self, source: str, target: str) -> Path:
        from mlflow.artifacts import download_artifacts

        return Path(download_artifacts(artifact_uri=source, dst_path=target, tracking_uri=self._uri))

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise UnknownVersionError(
                    f"the registry at {self._uri} has no {what}; "
                    "is it the registry it was trained into? Train again with: tidegate train --promote"
                ) from error
            raise RegistryError(f"the registry at {self._uri} failed on {what}: {error}; check with: tidegate doctor") from error
        except OSError as error:
            raise RegistryError(f"the registry at {self._uri} cannot read or write {what} ({error}); check its folder") from error


def _registered(record: Any, aliases: dict[str, Any]) -> RegisteredVersion:
    version = int(record.version)
    named = sorted(alias for alias, target in aliases.items() if int(target) == version)
    return RegisteredVersion(record.name, version, record.tags.get(_HASH_TAG, ""), record.creation_timestamp / 1000, named)


def _artifacts_beside(uri: str) -> Path | None:
    if not uri.startswith(_SQLITE):
        return None  # a server decides by itself where artifacts go
    folder = Path(uri.removeprefix(_SQLITE)).absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "artifacts"


def _client(uri: str) -> Any:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        raise RegistryError(
            f"the registry at {uri} cannot be opened ({error}); check the address and the folder's rights"
        ) from error


def main(arguments: list[str]) -> int:
    """Runs one request and prints its answer as JSON; an error as {"error": class, "message": ...} with exit code 1."""
    asked = _parser().parse_args(arguments)
    try:
        answer = _answer(MLflowRegistry(asked.uri, create=False), asked)
    except ScorerError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 1 if "error" in answer else 0


def _answer(registry: MLflowRegistry, asked: argparse.Namespace) -> dict[str, Any]:
    if asked.command == "fetch":
        folder = registry.fetch(asked.name, asked.version, asked.cache)
        return {"folder": str(folder), "hash": artifact_hash(folder)}
    if asked.command == "alias":
        return {"version": registry.alias(asked.name, asked.alias)}
    return {"versions": registry.versions(asked.name)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scorer.registry")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch, alias, versions = (commands.add_parser(name) for name in ("fetch", "alias", "versions"))
    for command in (fetch, alias, versions):
        command.add_argument("name")
        command.add_argument("--uri", required=True)
    fetch.add_argument("version", type=int)
    fetch.add_argument("--cache", type=Path, required=True)
    alias.add_argument("alias")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
