"""Kafka's jars: the lock, the user's cache, and the one download that fills it.

`kafka.lock` names every jar with its SHA-256 and size; nothing is resolved at run time, so what runs is what was
reviewed. jgo downloads (from Maven Central, or from the repositories in the user's own jgo settings); a jar reaches
the cache by a rename and only when its hash is the lock's. A lock file keeps two processes from fetching the same.
`lock.py` writes a new lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.embedded.errors import FetchFailed, JarMismatch, MissingPart

LOCK = Path(__file__).with_name("kafka.lock")
PARALLEL_DOWNLOADS = 6  # the jars are many and small: latency, not bandwidth, is what costs
TIMEOUT_SECONDS = 20

Progress = Callable[[int, int], None]
"""Told (bytes done, bytes in all) while jars are fetched; called from one thread at a time."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    sha256: str
    size_bytes: int
    group: str
    artifact: str
    version: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def read_lock(path: Path = LOCK) -> list[Jar]:
    """The locked jars, in class path order."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return [_parse(line) for line in lines]


def _parse(line: str) -> Jar:
    sha256, size, coordinates = line.split()
    return Jar(sha256, int(size), *coordinates.split(":"))


def cache_directory(environ: Mapping[str, str]) -> Path:
    """$XDG_CACHE_HOME/tidegate, by default ~/.cache/tidegate."""
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home()) / ".cache"
    return Path(base) / "tidegate"


class JarCache:
    """The locked jars in the user's cache."""

    def __init__(self, cache: Path, jars: Iterable[Jar] | None = None) -> None:
        self.directory = cache / "jars"
        self.jars = list(read_lock() if jars is None else jars)

    def path(self, jar: Jar) -> Path:
        return self.directory / jar.file_name

    def missing(self) -> list[Jar]:
        return [jar for jar in self.jars if not self.path(jar).exists()]

    def fetch(self, progress: Progress | None = None) -> list[Path]:
        """The class path, after downloading what is missing and checking every hash.

        FetchFailed without a network, JarMismatch for a jar that is not the locked one, MissingPart without jgo.
        """
        if self.missing():
            self.directory.mkdir(parents=True, exist_ok=True)
            with _only_one(self.directory / ".lock"):
                self._download(self.missing(), progress or (lambda done, total: None))
        for jar in self.jars:
            _check(jar, self.path(jar), f"delete {self.path(jar)} and run again to fetch it anew")
        return [self.path(jar) for jar in self.jars]

    def _download(self, jars: list[Jar], progress: Progress) -> None:
        done, total = 0, sum(jar.size_bytes for jar in jars)
        # Beside the cache, so that the rename stays in one file system; private, so that nobody sees half a jar.
        with (
            tempfile.TemporaryDirectory(dir=self.directory, prefix=".fetch-") as scratch,
            ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool,
        ):
            maven = maven_context(Path(scratch))
            running = {pool.submit(self._download_one, maven, jar): jar for jar in jars}
            progress(done, total)
            try:
                for future in as_completed(running):
                    future.result()
                    done += running[future].size_bytes
                    progress(done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _download_one(self, maven: Any, jar: Jar) -> None:
        try:
            fetched = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, jgo's are RuntimeErrors
            raise FetchFailed(
                f"{jar.file_name} could not be downloaded ({type(error).__name__}): check the network (jgo's own "
                "settings name a mirror), or set KAFKA_BOOTSTRAP_SERVERS to a broker that runs."
            ) from error
        _check(jar, fetched, "the repository in use serves another file than the locked one; use another")
        os.replace(fetched, self.path(jar))


def maven_context(scratch: Path) -> Any:
    """jgo's view of the Maven repositories: Maven Central, and what the user's jgo settings add or override."""
    try:
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext
    except ImportError:
        raise MissingPart(
            "Kafka's jars are fetched by the package jgo, which is not installed: "
            "run `pip install 'tidegate[embedded]'`, or set KAFKA_BOOTSTRAP_SERVERS to a broker that runs."
        ) from None
    default = MavenContext(repo_cache=scratch).remote_repos
    repositories = {**default, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=scratch, remote_repos=repositories, timeout=TIMEOUT_SECONDS)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(jar: Jar, path: Path, remedy: str) -> None:
    found = sha256_of(path)
    if found != jar.sha256:
        raise JarMismatch(
            f"{jar.file_name} is not the locked one (SHA-256 {found[:16]}…, locked {jar.sha256[:16]}…) and was refused: {remedy}."
        )


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Held by one process (and thread) at a time; the kernel lets go of it when its holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
