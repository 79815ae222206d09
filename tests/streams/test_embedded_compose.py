"""compose.yaml and deploy/Dockerfile say what they must; Docker itself reads the file where its CLI is at hand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.embedded.jars import read_lock

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found = yaml.safe_load(COMPOSE.read_text())["services"]
    assert isinstance(found, dict)
    return found


def has_docker_compose() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_docker_compose(), reason="no docker CLI with compose")
def test_docker_accepts_the_file() -> None:
    subprocess.run(["docker", "compose", "--file", str(COMPOSE), "config", "--quiet"], check=True, timeout=60)


def test_every_service_is_known_to_be_healthy_and_pinned(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert "build" in service or ":" in service["image"], name


def test_volumes_and_dependencies_are_declared(services: dict[str, Any]) -> None:
    declared = yaml.safe_load(COMPOSE.read_text())["volumes"]
    for service in services.values():
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(declared)
        for needed, condition in service.get("depends_on", {}).items():
            assert needed in services
            assert condition == {"condition": "service_healthy"}


def test_compose_runs_the_kafka_that_the_tests_run(services: dict[str, Any]) -> None:
    locked = next(jar.version for jar in read_lock() if jar.artifact == "kafka_2.13")
    assert services["kafka"]["image"] == f"apache/kafka:{locked}"
    assert services["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_redis_evicts_nothing_and_keeps_a_file(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"


def test_two_workers_that_tell_when_they_are_ready(services: dict[str, Any]) -> None:
    worker = services["worker"]
    assert worker["deploy"]["replicas"] == 2
    assert worker["command"] == ["tidegate", "worker", "examples/flights/pipeline.py", "--web-host", "0.0.0.0"]
    assert set(worker["environment"]) >= {"KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"}
    assert "6066/readyz" in worker["healthcheck"]["test"][-1]
    assert "ports" not in worker  # a port of the host can be had by one replica alone
    assert (ROOT / worker["build"]["dockerfile"]).exists()


def test_nothing_listens_beyond_loopback(services: dict[str, Any]) -> None:
    """There is no password, so there must be no way in from outside."""
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def test_the_image_has_lightgbms_library_and_no_root() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    text = "\n".join(lines)
    assert "libgomp1" in text
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    copied = {line.split()[1] for line in lines if line.startswith("COPY ")}
    assert {"streams", "featurestore", "scorer", "monitors", "examples"} <= copied
