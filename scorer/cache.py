"""Versions on this machine's disk, and the child process that fetches one that is not there yet.

The parent imports no MLflow (60 MiB and more than a second); a version in the cache needs no registry at all. What a registry is
is left to scorer.registry.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from scorer import errors
from scorer.artifact import artifact_hash, verify_folder
from scorer.errors import ArtifactError, RegistryError

_HASH_DIGITS = 16  # of the folder's name; the whole hash is compared wherever it is known
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def checked_name(name: str) -> str:
    """The name of a model or alias, which becomes a folder's; RegistryError for other than letters, digits, ".", "_" and "-"."""
    if not _NAME.fullmatch(name):
        raise RegistryError(
            f"{name!r} cannot name a model; use letters, digits, '.', '_' and '-', beginning with a letter or digit"
        )
    return name


def find_cached(cache: Path, name: str, version: int, expected_hash: str | None = None) -> Path | None:
    """The folder of a version in the cache, verified; None where it is missing, damaged or, with no hash known, ambiguous."""
    pattern = f"{version}-{(expected_hash or '*')[:_HASH_DIGITS]}"
    sound = [folder for folder in sorted((cache / checked_name(name)).glob(pattern)) if _sound(folder, expected_hash)]
    return sound[0] if len(sound) == 1 else None


def install(cache: Path, name: str, version: int, folder: Path) -> Path:
    """Moves a verified folder of the same file system into the cache, in one step; what lay there damaged is replaced."""
    digest = artifact_hash(folder)
    target = cache / checked_name(name) / f"{version}-{digest[:_HASH_DIGITS]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        if _sound(target, digest):  # another process was quicker
            return target
        shutil.rmtree(target)
    try:
        os.rename(folder, target)
    except OSError:
        if not _sound(target, digest):
            raise
    return target


def _sound(folder: Path, expected_hash: str | None) -> bool:
    try:
        verify_folder(folder, expected_hash)
    except ArtifactError:
        return False
    return artifact_hash(folder).startswith(folder.name.rpartition("-")[2])


def fetch_in_child(
    name: str, version: int, cache: Path, *, uri: str, artifact_hash: str | None = None, timeout_seconds: float = 60.0
) -> Path:
    """The verified folder of a version: from the cache, else fetched by a child process that imports MLflow.

    ``artifact_hash`` is what the deployment recorded: with it the cache cannot give a version of another registry. RegistryError,
    UnknownVersionError or ArtifactError as the registry's own fetch raises them.
    """
    found = find_cached(cache, name, version, artifact_hash)
    if found is not None:
        return found
    folder = Path(run_child(["fetch", name, str(version), "--cache", str(cache)], uri, timeout_seconds)["folder"])
    verify_folder(folder, artifact_hash)
    return folder


def run_child(arguments: list[str], uri: str, timeout_seconds: float) -> Any:
    """What ``python -m scorer.registry`` prints for these arguments, decoded; raises the error that the child names."""
    command = [sys.executable, "-m", "scorer.registry", *arguments, "--uri", uri]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise RegistryError(
            f"the registry at {uri} did not answer within {timeout_seconds:.0f} s; check that it is up"
        ) from error
    try:
        answer = msgspec.json.decode(done.stdout)
    except msgspec.DecodeError as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RegistryError(f"the registry's process ended with code {done.returncode}: {' '.join(said)}") from error
    if done.returncode == 0:
        return answer
    raised = getattr(errors, answer["error"], RegistryError)
    raise raised(answer["message"])


def temporary_folder(cache: Path) -> "tempfile.TemporaryDirectory[str]":
    """A folder on the cache's file system, removed on exit from its ``with``."""
    cache.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache)
