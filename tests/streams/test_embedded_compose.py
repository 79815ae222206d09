"""compose.yaml and deploy/Dockerfile say what they must; Docker's own reader reads the file where one is at hand.

What the file tells our own processes, and Prometheus of them, is in test_compose_processes.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.embedded.jars import read_lock

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
ONCE = {"history", "train"}
WANTED = ONCE | {"kafka", "redis", "mlflow", "worker", "monitor", "lag", "producer", "prometheus", "alertmanager", "grafana"}
BUDGET_DAYS = 30  # of every objective


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> dict[str, Any]:
    found = document["services"]
    assert isinstance(found, dict)
    return found


def reader() -> list[str]:
    """Docker's plugin, or Debian's docker-compose; none: the test is skipped."""
    docker, debians = shutil.which("docker"), shutil.which("docker-compose")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0:
        return [docker, "compose"]
    if debians is None:
        pytest.skip("nothing that reads compose.yaml: apt-get install --no-install-recommends docker-compose")
    return [debians]


def test_docker_accepts_the_file() -> None:
    done = subprocess.run([*reader(), "--file", str(COMPOSE), "config", "--quiet"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_docker_refuses_a_file_with_a_mistake(tmp_path: Path) -> None:
    """What the test above rests on."""
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text().replace("  mlflow-data:\n", "").replace("healthcheck:", "healthchecks:"))
    assert subprocess.run([*reader(), "--file", str(broken), "config", "--quiet"], capture_output=True).returncode != 0


def test_every_service_is_there_and_pinned(services: dict[str, Any]) -> None:
    assert set(services) == WANTED
    for name, service in services.items():
        if "build" not in service:
            image, _, tag = service["image"].partition(":")
            assert re.fullmatch(r"v?\d+\.\d+\.\d+(-alpine)?", tag), name
            assert "." not in image.partition("/")[0], f"{name}: no registry's host"


def test_what_goes_on_tells_whether_it_is_healthy_and_comes_back(services: dict[str, Any]) -> None:
    for name in WANTED - ONCE:
        assert services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert services[name]["restart"] == "unless-stopped", name
    for name in ONCE:
        assert services[name]["restart"].startswith("on-failure:"), name


def test_who_needs_another_waits_until_it_works_or_is_done(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for needed, condition in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert condition == {"condition": expected}, f"{name} needs {needed}"
    assert {"train", "kafka", "redis"} <= set(services["worker"]["depends_on"])  # a worker loads its model as it starts
    assert "producer" in services["monitor"]["depends_on"]  # which lets it begin where the windows are full


def test_volumes_are_declared_and_used_and_mounted_files_exist(document: dict[str, Any]) -> None:
    mounts = [mount for service in document["services"].values() for mount in service.get("volumes", [])]
    sources = {mount.split(":")[0] for mount in mounts}
    files = {source for source in sources if source.startswith("./")}
    assert sources - files == set(document["volumes"])
    assert [file for file in sorted(files) if not (ROOT / file).exists()] == []
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))


def test_no_container_has_more_rights_or_memory_than_it_needs(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].split(":")[0] not in ("root", "0"), name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
    # Kafka writes its configuration, Grafana its plugins, beside their programs.
    assert {name for name, service in services.items() if not service.get("read_only")} == {"kafka", "grafana"}


def test_compose_runs_the_kafka_that_the_tests_run(services: dict[str, Any]) -> None:
    locked = next(jar.version for jar in read_lock() if jar.artifact == "kafka_2.13")
    assert services["kafka"]["image"] == f"apache/kafka:{locked}"
    assert services["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_redis_evicts_nothing_and_keeps_a_file(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"


def test_prometheus_remembers_longer_than_a_budget_lasts(services: dict[str, Any]) -> None:
    (days,) = [re.fullmatch(r"--storage\.tsdb\.retention\.time=(\d+)d", each) for each in services["prometheus"]["command"][2:3]]
    assert days is not None
    assert int(days[1]) > BUDGET_DAYS


def test_nothing_listens_beyond_loopback(services: dict[str, Any]) -> None:
    """There is no password, so there must be no way in from outside."""
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def test_two_workers_have_time_to_finish(services: dict[str, Any]) -> None:
    worker = services["worker"]
    assert worker["deploy"]["replicas"] == 2
    assert worker["stop_grace_period"] == "30s"
    assert "ports" not in worker  # a port of the host can be had by one replica alone


def test_the_images_have_what_they_need_and_no_root() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", text, re.DOTALL | re.MULTILINE))
    assert "libgomp1" in stages["tidegate"]
    for final in ("tidegate", "mlflow"):
        assert re.findall(r"^USER (.*)$", stages[final], re.MULTILINE) == ["10001"]
    copied = set(re.findall(r"^COPY (\S+) \S+$", stages["build"], re.MULTILINE))
    assert {"streams", "featurestore", "scorer", "monitors", "examples"} <= copied
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{each}" for each in copied} <= {*ignored, "!setup.cfg"}  # setup.cfg begins a line with several files
    assert len(set(re.findall(r"^ARG MLFLOW_VERSION=(.*)$", text, re.MULTILINE))) == 1


def test_each_service_is_built_from_a_stage_that_is_there(services: dict[str, Any]) -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    for name, service in services.items():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).exists()
            assert f" AS {service['build']['target']}\n" in text, name
