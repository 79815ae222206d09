"""The registry at an MLflow server, which compose.yaml runs: the same versions, through HTTP, artifacts too.

The server is MLflow whole, of 850 MB; Tidegate needs the skinny one alone. So this runs where one was installed for it.
"""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scorer.artifact import artifact_hash, load_artifact
from scorer.cache import fetch_in_child
from scorer.errors import RegistryError, UnknownVersionError
from scorer.registry import MLflowRegistry
from streams.embedded.ports import free_ports
from tests.integration.test_demo import eventually
from tests.scorer.rows import SCHEMA

SERVER = os.environ.get("TIDEGATE_TEST_MLFLOW", "")
COMPOSE = Path(__file__).parents[2] / "compose.yaml"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not SERVER, reason="no MLflow server: pip install mlflow in a venv of its own, TIDEGATE_TEST_MLFLOW=VENV/bin/mlflow"
    ),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Started as compose.yaml starts it, but for its port and its folder."""
    folder, (port,) = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    _, *options = yaml.safe_load(COMPOSE.read_text())["services"]["mlflow"]["command"]
    moved = {"0.0.0.0": "127.0.0.1", "5000": str(port)}
    command = [SERVER, *(moved.get(each, each.replace("/mlflow/", f"{folder}/")) for each in options)]
    environ = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environ.pop("PYTHONPATH", None)
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environ)
    try:
        assert eventually(lambda: status(f"http://127.0.0.1:{port}/health") == 200, 120), (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def status(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_a_version_goes_through_the_server_and_proves_itself(
    address: str, version: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    registry = MLflowRegistry(address)
    number = registry.register(version)
    registry.set_alias("fraud", "champion", number)
    folder = fetch_in_child("fraud", number, tmp_path / "cache", uri=address, artifact_hash=artifact_hash(version))
    load_artifact(folder, SCHEMA)
    assert registry.alias("fraud", "champion") == number
    assert registry.versions("fraud")[-1].hash == artifact_hash(version)
    assert capfd.readouterr().out == ""  # no links of MLflow's between our lines


def test_what_the_server_does_not_have_is_said(address: str, version: Path, tmp_path: Path) -> None:
    MLflowRegistry(address).register(version)
    with pytest.raises(UnknownVersionError, match="version 99"):
        fetch_in_child("fraud", 99, tmp_path, uri=address)
    with pytest.raises(RegistryError, match="check"):
        fetch_in_child("fraud", 1, tmp_path, uri="http://127.0.0.1:9")


def test_it_answers_under_its_service_s_name_and_no_other(address: str) -> None:
    search = f"{address}/api/2.0/mlflow/experiments/search?max_results=1"
    assert status(search, Host="mlflow:5000") == 200
    assert status(search, Host="elsewhere.example:5000") == 403
