"""What one demo leaves for the next: history in Parquet, the registry, the trained versions.

A folder of the user's cache, named by a hash of all that the models depend on, so that a change of code or data makes new ones.
`prepared.json` is written last: without it, or with a file that does not have its hash, the folder counts as not made.
"""

import fcntl
import hashlib
import importlib.metadata
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scorer.artifact import verify_folder
from scorer.cache import find_cached
from scorer.errors import ScorerError
from scorer.registry import local_uri
from streams.demo.story import ROOT, Story
from streams.embedded.jars import cache_directory
from streams.settings import Settings

PREPARED_FILE = "prepared.json"
CODE = ("featurestore", "scorer", "monitors/drift", "streams/demo/prepare.py", "streams/demo/story.py", "streams/training.py")
PACKAGES = ("lightgbm", "numpy", "numba", "scipy")
KEY_DIGITS = 16


class Prepared(msgspec.Struct, frozen=True):
    """The versions of a folder; hashes are scorer.artifact's."""

    model: str
    version: int
    hash: str
    baseline_hash: str


@dataclass(frozen=True, slots=True)
class DemoState:
    """The folder of one story and one state of the code."""

    folder: Path

    @classmethod
    def of(cls, story: Story, environ: Mapping[str, str]) -> "DemoState":
        return cls(cache_directory(environ) / "demo" / f"{story.name}-{content_key(story)}")

    @property
    def history(self) -> Path:
        return self.folder / "history"

    @property
    def baseline(self) -> Path:
        return self.folder / "baseline"

    def settings(self, bootstrap_servers: str | None = None, redis_url: str | None = None) -> Settings:
        return Settings(
            bootstrap_servers=bootstrap_servers,
            redis_url=redis_url,
            registry_uri=local_uri(self.folder / "registry"),
            cache=self.folder / "models",
        )

    def load(self) -> Prepared | None:
        """What is there, every file of it verified; None where anything is missing or damaged."""
        try:
            prepared = msgspec.json.decode((self.folder / PREPARED_FILE).read_bytes(), type=Prepared)
            verify_folder(self.baseline, prepared.baseline_hash)
        except (OSError, msgspec.DecodeError, ScorerError):
            return None
        found = find_cached(self.settings().cache, prepared.model, prepared.version, prepared.hash)
        return None if found is None else prepared

    def save(self, prepared: Prepared) -> None:
        written = self.folder / f".{PREPARED_FILE}"
        written.write_bytes(msgspec.json.encode(prepared))
        written.rename(self.folder / PREPARED_FILE)

    def empty(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Two demos on one machine do not make the same folder at once; the lock goes with the process."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with open(self.folder.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def content_key(story: Story, root: Path = ROOT) -> str:
    """Changes with the code that makes history, features and models, the data's version and the libraries'."""
    digest = hashlib.sha256(platform.python_version().encode())
    for package in (*story.packages, *PACKAGES):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for file in sorted(file for place in (*story.code, *CODE) for file in _sources(root / place)):
        digest.update(f"{file.relative_to(root)}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:KEY_DIGITS]


def _sources(place: Path) -> list[Path]:
    return [place] if place.is_file() else list(place.rglob("*.py"))
