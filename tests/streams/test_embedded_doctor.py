"""The doctor names what is wrong, the remedy, and whether it matters."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import doctor as command
from streams.embedded import checks
from streams.embedded.checks import GIB, Check
from streams.embedded.checks_external import append_only, clock_offset, eviction, kafka_check, redis_checks
from streams.embedded.checks_external import cluster as cluster_check
from streams.embedded.cluster import EmbeddedCluster


def test_an_old_python_fails() -> None:
    assert checks.python_version((3, 10)).status == "fail"
    assert checks.python_version((3, 11)).status == "ok"


def test_packages_that_python_compiles_at_every_start_are_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As uv installs them, where the environment forbids to write bytecode."""
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "installed_by_uv"
    package.mkdir()
    (package / "__init__.py").write_text("")
    first = checks.bytecode([package.name], writes=True)
    assert (first.status, first.found) == ("ok", "kept from the first start on")
    never = checks.bytecode([package.name, "there_is_no_such_package"], writes=False)
    assert (never.status, never.remedy) == ("warn", f"{sys.executable} -m compileall -q {tmp_path}")
    subprocess.run(never.remedy.split(), check=True)
    assert checks.bytecode([package.name], writes=False) == Check("Bytecode", "ok", "kept")


def test_a_missing_libgomp_names_debians_package() -> None:
    def load(name: str) -> object:
        raise OSError(name)

    found = checks.libgomp(load)
    assert (found.status, found.remedy) == ("fail", "apt-get install libgomp1")


def test_jars_out_of_reach_fail_with_the_reason(tmp_path: object) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    assert checks.kafka_jars(environ, lambda: "check the network").remedy == "check the network"
    assert checks.kafka_jars(environ, lambda: "").status == "ok"


def test_what_an_external_server_replaces_is_a_warning(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "java", lambda environ: Check("Java", "fail", "none", "install it"))
    monkeypatch.setattr(checks, "kafka_jars", lambda environ: Check("Kafka's jars", "fail", "none", "fetch them"))
    with_broker = {each.name: each for each in checks.host_checks({}, external_kafka=True, external_redis=False)}
    without = {each.name: each for each in checks.host_checks({}, external_kafka=False, external_redis=False)}
    assert with_broker["Java"].status == "warn"
    assert without["Java"].status == "fail"


def test_scarce_machines_are_warned_about() -> None:
    assert checks.cores(1).status == "warn"
    assert checks.memory(GIB).status == "warn"
    assert checks.memory(8 * GIB).status == "ok"
    assert checks.clock(lambda: checks.CLOCK_NOT_SYNCHRONISED).status == "warn"
    assert checks.clock(lambda: 0).status == "ok"


@pytest.mark.parametrize(
    ("policy", "status"), [("noeviction", "ok"), ("allkeys-lru", "fail"), ("volatile-ttl", "fail"), ("", "fail")]
)
def test_any_eviction_is_refused(policy: str, status: str) -> None:
    assert eviction({"here:1": {"maxmemory_policy": policy}}).status == status


def test_a_policy_that_is_not_told_is_no_eviction() -> None:
    """The worker goes on with a warning, too."""
    assert eviction({"here:1": {}}).status == "warn"
    assert eviction({"here:1": {}, "here:2": {"maxmemory_policy": "allkeys-lru"}}).status == "fail"
    assert append_only({"here:1": {}}).status == "ok"


def test_one_node_of_a_cluster_that_evicts_is_named() -> None:
    found = eviction({"here:1": {"maxmemory_policy": "noeviction"}, "here:2": {"maxmemory_policy": "allkeys-lru"}})
    assert (found.status, found.found.partition(":")[0]) == ("fail", "allkeys-lru at here")
    assert "here:2" in found.found
    assert "here:1" not in found.found


def test_no_append_only_file_is_advised_against() -> None:
    assert append_only({"here:1": {"aof_enabled": 1}}).status == "ok"
    found = append_only({"here:1": {"aof_enabled": 1}, "here:2": {"aof_enabled": 0}})
    assert (found.status, found.found.partition(": ")[0]) == ("warn", "off at here:2")


def test_a_primary_without_a_replica_and_a_silent_node_are_told() -> None:
    primary, replica = {"role": "master", "connected_slaves": 1}, {"role": "slave"}
    assert cluster_check({"here:1": primary, "here:2": replica}, []) == Check("Redis Cluster", "ok", "1 primaries, 1 replicas")
    assert "here:2" in cluster_check({"here:1": primary}, ["here:2"]).found
    assert "here:1" in cluster_check({"here:1": primary | {"connected_slaves": 0}}, []).found


@pytest.mark.integration
def test_every_node_of_a_real_cluster_is_looked_at(cluster: EmbeddedCluster) -> None:
    replica = cluster.replica_of(cluster.primaries[0])
    replica.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        found = {each.name: each for each in redis_checks(cluster.url)}
    finally:
        replica.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert (found["Redis Cluster"].status, found["Redis Cluster"].found) == ("ok", "3 primaries, 3 replicas")
    assert found["Redis eviction"].found.startswith(f"allkeys-lru at 127.0.0.1:{replica.port}:")
    assert found["Redis append-only file"].status == "warn"


@pytest.mark.parametrize(("offset", "status"), [(0.0, "ok"), (5.0, "warn"), (-3600.0, "fail")])
def test_clocks_apart(offset: float, status: str) -> None:
    now = time.time()
    assert clock_offset({"server_time_usec": int((now + offset) * 1e6)}, now).status == status


def test_servers_that_do_not_answer_fail_without_showing_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.embedded.external.kafka_answers", lambda *args, **options: False)
    found = [kafka_check("127.0.0.1:1"), *redis_checks("redis://user:hunter2@127.0.0.1:1/0")]
    assert [each.status for each in found] == ["fail", "fail"]
    assert "KAFKA_BOOTSTRAP_SERVERS" in found[0].remedy
    assert "REDIS_URL" in found[1].remedy
    assert not any("hunter2" in each.found + each.remedy for each in found)


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_a_fail_is_exit_code_1(status: checks.Status, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def one(environ: Mapping[str, str]) -> Iterator[Check]:
        yield Check("Kettle", status, "lukewarm [sic]", "boil it")

    monkeypatch.setattr(command, "checks", one)
    result = CliRunner().invoke(command.doctor)
    assert result.exit_code == code
    assert "lukewarm [sic]" in result.output


def test_help_teaches_with_an_example() -> None:
    assert "REDIS_URL=redis://cache:6379/0" in CliRunner().invoke(command.doctor, ["--help"]).output
