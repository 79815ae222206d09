"""What compose.yaml tells our own processes is what the code takes, and Prometheus looks for them where they are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml

from streams.cli import main
from streams.loading import load_pipeline
from streams.settings import ENVIRONMENT

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "tidegate"]
PAGED = ["worker", "producer", "monitor", "lag"]
PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yml"
FOREIGN = {"kafka": "KAFKA_", "grafana": "GF_"}  # the images' own variables


def parsed(name: str, history: Path) -> click.Context:
    """A service's command as `tidegate` parses it, not run; /history is the container's."""
    program, *arguments = [str(history) if each == "/history" else each for each in SERVICES[name]["command"]]
    assert program == "tidegate"
    group = click.Context(main, info_name=program)
    command, found, rest = main.resolve_command(group, arguments)
    assert found is not None
    return found.make_context(command, rest, parent=group)


def test_which_processes_are_ours() -> None:
    assert OURS == ["history", "train", "worker", "producer", "monitor", "lag"]


@pytest.mark.parametrize("name", OURS)
def test_the_command_parses_and_its_pipeline_loads(name: str, tmp_path: Path) -> None:
    context = parsed(name, tmp_path)
    if "pipeline" in context.params:
        assert load_pipeline(str(ROOT / context.params["pipeline"])).name == "flight-delays"


def test_a_command_with_a_mistake_does_not_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above rests on."""
    monkeypatch.setitem(SERVICES, "worker", {"command": ["tidegate", "worker", "pipeline.py", "--web-hots", "0.0.0.0"]})
    with pytest.raises(click.NoSuchOption):
        parsed("worker", tmp_path)


@pytest.mark.parametrize("name", list(SERVICES))
def test_each_variable_is_one_that_its_reader_knows(name: str) -> None:
    variables = SERVICES[name].get("environment", {})
    if name in FOREIGN:
        assert all(each.startswith(FOREIGN[name]) for each in variables)
    else:
        assert set(variables) <= set(ENVIRONMENT)


def test_addresses_name_services_and_their_ports() -> None:
    for name in OURS:
        variables = SERVICES[name].get("environment", {})
        for variable, service, port in (("REDIS_URL", "redis", 6379), ("MLFLOW_TRACKING_URI", "mlflow", 5000)):
            if variable in variables:
                url = urlsplit(variables[variable])
                assert (url.hostname, url.port) == (service, port), name
        assert variables.get("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092") == "kafka:9092"
    assert "PLAINTEXT://kafka:9092" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_mlflow_answers_under_the_name_that_it_is_asked_by() -> None:
    """It refuses every other, with 403."""
    options = dict(zip(SERVICES["mlflow"]["command"][2::2], SERVICES["mlflow"]["command"][3::2], strict=True))
    assert urlsplit(SERVICES["worker"]["environment"]["MLFLOW_TRACKING_URI"]).netloc in options["--allowed-hosts"].split(",")


@pytest.mark.parametrize("name", PAGED)
def test_the_health_check_asks_the_port_that_the_process_listens_on(name: str, tmp_path: Path) -> None:
    port = parsed(name, tmp_path).params["web_port"]
    assert f"http://127.0.0.1:{port}/readyz" in SERVICES[name]["healthcheck"]["test"][-1]


def test_prometheus_scrapes_each_process_where_it_listens(tmp_path: Path) -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]}
    ports = {name: parsed(name, tmp_path).params["web_port"] for name in ("worker", "monitor", "lag")}
    for name in ports:
        assert parsed(name, tmp_path).params["web_host"] == "0.0.0.0"
    (workers,) = jobs["tidegate-worker"]["dns_sd_configs"]
    assert (workers["names"], workers["type"], workers["port"]) == (["worker"], "A", ports["worker"])
    for name in ("monitor", "lag"):
        assert jobs[f"tidegate-{name}"]["static_configs"] == [{"targets": [f"{name}:{ports[name]}"]}]


def test_prometheus_takes_its_configuration() -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("no promtool: apt-get install --no-install-recommends prometheus")
    done = subprocess.run([promtool, "check", "config", str(PROMETHEUS)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_go_to_the_alertmanager_that_runs() -> None:
    (alertmanagers,) = yaml.safe_load(PROMETHEUS.read_text())["alerting"]["alertmanagers"]
    (target,) = alertmanagers["static_configs"][0]["targets"]
    name, _, port = target.partition(":")
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_each_folder_of_configuration_is_where_its_process_reads_it() -> None:
    for name, flag in (("prometheus", "--config.file"), ("alertmanager", "--config.file")):
        (file,) = [each.partition("=")[2] for each in SERVICES[name]["command"] if each.startswith(flag)]
        source, target = next(mount.split(":")[:2] for mount in SERVICES[name]["volumes"] if file.startswith(mount.split(":")[1]))
        assert (ROOT / source / Path(file).relative_to(target)).is_file()


def test_grafana_reads_what_is_mounted_and_asks_the_prometheus_that_runs() -> None:
    mounts = {target: ROOT / source for source, target in (each.split(":")[:2] for each in SERVICES["grafana"]["volumes"])}
    provisioned = mounts["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioned / "datasources" / "tidegate.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioned / "dashboards" / "tidegate.yaml").read_text())["providers"]
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (mounts[str(home.parent)] / home.name).is_file()


def test_no_name_of_a_registry_is_written() -> None:
    text = (ROOT / "compose.yaml").read_text() + (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.search(r"(FROM|image:) *[\w-]+(\.[\w-]+)+/", text) is None
