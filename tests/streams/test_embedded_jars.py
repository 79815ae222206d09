"""Kafka's jars: only the locked ones run, and the cache is never half a jar."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams.embedded import FetchFailed, JarMismatch, MissingPart, jars
from streams.embedded.jars import Jar, JarCache, cache_directory, read_lock

CONTENT = b"a jar"


def jar(name: str = "broker", content: bytes = CONTENT) -> Jar:
    return Jar(hashlib.sha256(content).hexdigest(), len(content), "org.example", name, "1.0")


class Repository:
    """Stands in for jgo's view of a Maven repository; counts what it serves."""

    def __init__(self, content: bytes = CONTENT, error: Exception | None = None) -> None:
        self.content, self.error = content, error
        self.served: list[str] = []

    def __call__(self, scratch: Path) -> Repository:
        self.scratch = scratch
        return self

    def project(self, group: str, artifact: str) -> Artifact:
        return Artifact(self, artifact)


class Artifact:
    def __init__(self, repository: Repository, name: str) -> None:
        self.repository, self.name = repository, name

    def at_version(self, version: str) -> Artifact:
        return self

    def artifact(self) -> Artifact:
        return self

    def resolve(self) -> Path:
        if self.repository.error:
            raise self.repository.error
        path = self.repository.scratch / self.name
        path.write_bytes(self.repository.content)
        self.repository.served.append(self.name)
        return path


def test_the_lock_names_kafka_4_and_a_hash_for_every_jar() -> None:
    locked = read_lock()
    kafka = next(each for each in locked if each.artifact == "kafka_2.13")
    assert kafka.version.startswith("4.")
    assert all(len(each.sha256) == 64 and each.size_bytes > 0 for each in locked)
    assert len({each.file_name for each in locked}) == len(locked)


def test_jars_are_fetched_once_and_progress_ends_at_the_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository()
    monkeypatch.setattr(jars, "maven_context", repository)
    cache = JarCache(tmp_path, [jar("one"), jar("two")])
    told: list[tuple[int, int]] = []
    paths = cache.fetch(lambda done, total: told.append((done, total)))
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
    assert told[0] == (0, 10)
    assert told[-1] == (10, 10)
    assert cache.fetch() == paths
    assert sorted(repository.served) == ["one", "two"]


def test_a_downloaded_jar_with_another_hash_is_refused_and_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "maven_context", Repository(b"something else"))
    cache = JarCache(tmp_path, [jar()])
    with pytest.raises(JarMismatch, match=r"broker-1\.0\.jar is not the locked one .* was refused"):
        cache.fetch()
    assert cache.missing() == [jar()]


def test_a_cached_jar_that_was_changed_is_refused_with_the_remedy(tmp_path: Path) -> None:
    cache = JarCache(tmp_path, [jar()])
    cache.directory.mkdir(parents=True)
    cache.path(jar()).write_bytes(b"tampered with")
    with pytest.raises(JarMismatch, match=r"delete .*broker-1\.0\.jar and run again"):
        cache.fetch()


def test_without_a_network_one_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "maven_context", Repository(error=ConnectionError("no route")))
    with pytest.raises(FetchFailed, match=r"check the network .* or set KAFKA_BOOTSTRAP_SERVERS"):
        JarCache(tmp_path, [jar()]).fetch()


def test_without_jgo_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jgo.config", None)
    with pytest.raises(MissingPart, match=r"pip install 'tidegate\[embedded\]'"):
        JarCache(tmp_path, [jar()]).fetch()


def test_two_at_once_download_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first's lock and then finds everything there."""
    repository = Repository()
    monkeypatch.setattr(jars, "maven_context", repository)
    together = threading.Barrier(2)

    def fetch() -> list[Path]:
        cache = JarCache(tmp_path, [jar()])
        together.wait(10)
        return cache.fetch()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(fetch), pool.submit(fetch)
        assert first.result(30) == second.result(30)
    assert repository.served == ["broker"]


def test_the_cache_is_where_xdg_says() -> None:
    assert cache_directory({"XDG_CACHE_HOME": "/cache", "HOME": "/home/ada"}) == Path("/cache/tidegate")
    assert cache_directory({"HOME": "/home/ada"}) == Path("/home/ada/.cache/tidegate")
