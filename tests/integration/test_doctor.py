"""The doctor asks real servers about one pipeline: each check is seen to hold, and seen to fail."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import yaml
from click.testing import CliRunner
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from featurestore.plan import FeaturePlan, compile_plan
from scorer.pipeline import Pipeline
from scorer.registry import MLflowRegistry, local_uri
from streams.cli import main
from streams.cli.doctor import checks
from streams.deployments import deploy_champion
from streams.embedded import EmbeddedKafka, EmbeddedRedis
from streams.embedded.checks_pipeline import champion, needed_seconds, registry, retention, retention_checks
from streams.embedded.checks_production import hardened, named, price
from streams.embedded.checks_replicas import judged, replicas_check
from streams.embedded.checks_security import is_loopback, kafka_acls, kafka_security, kafka_tls, redis_acls, redis_tls
from streams.embedded.jars import JarCache, cache_directory
from streams.embedded.java import find_java
from streams.loading import load_pipeline
from streams.topics import ensure_topics, output_topic
from tests.streams.test_doctor_alerting import routed

pytestmark = pytest.mark.integration

TEXT = """
from typing import Annotated

from msgspec import Meta

from streams import Count, Event, Label, Mean, Monitoring, On, Pipeline, Raw

Amount = Annotated[float, Meta(ge=0, le=100)]


class Sale(Event, topic="NAME.sales", key="user", id="id", time="at"):
    id: str
    user: str
    amount: Amount
    at: float


class Refund(Event, topic="NAME.refunds", key="user", id="id", time="at"):
    id: str
    user: str
    amount: Amount
    at: float


pipeline = Pipeline(
    name="NAME", owner="risk-ml", team="airline", task="binary", score=Sale, model="NAME", cost_usd_per_hour=0.05,
    features=[
        On(Sale, by="user", aggregates=[Count], windows=["1h"]),
        On(Refund, by="user", fields={"amount": [Mean]}, windows=["1h", "24h"]),
        Raw("amount"),
    ],
    label=Label(Refund, id="id", value=lambda refund: True, maturity="1h"),
    monitoring=Monitoring(feed_ages={"refund_by_user": "2h"}),
)
"""
HOUR_MS = 3_600_000


@pytest.fixture
def file(tmp_path: Path, unique: Callable[[str], str]) -> Path:
    path = tmp_path / "pipeline.py"
    path.write_text(TEXT.replace("NAME", unique("till")))
    return path


@pytest.fixture
def pipeline(file: Path) -> Pipeline:
    return load_pipeline(str(file))


@pytest.fixture
def plan(pipeline: Pipeline) -> FeaturePlan:
    return compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)


def test_short_retention_is_warned_about_and_the_remedy_mends_it(kafka: str, pipeline: Pipeline, plan: FeaturePlan) -> None:
    sales, refunds = f"{pipeline.name}.sales", f"{pipeline.name}.refunds"
    ensure_topics(kafka, [output_topic(name, 1, retention_ms=str(3 * HOUR_MS)) for name in (sales, refunds)])
    found = {each.name: each for each in retention_checks(plan, kafka)}
    assert found[f"Retention of {sales}"].status == "ok"
    short = found[f"Retention of {refunds}"]
    assert (short.status, short.found.partition(":")[0]) == ("warn", "3h; its features reach back 30h")
    command = shlex.split(short.remedy)
    assert command[0] == "kafka-configs.sh"
    java = find_java(os.environ).path
    jars = os.pathsep.join(map(str, JarCache(cache_directory(os.environ)).fetch()))
    subprocess.run([str(java), "-cp", jars, "kafka.admin.ConfigCommand", *command[1:]], check=True, capture_output=True)
    assert {each.status for each in retention_checks(plan, kafka)} == {"ok"}


def test_missing_topics_are_named(kafka: str, pipeline: Pipeline, plan: FeaturePlan) -> None:
    (found,) = retention_checks(plan, kafka)
    assert (found.status, found.found) == ("warn", f"missing: {pipeline.name}.refunds, {pipeline.name}.sales")


def test_a_topic_that_keeps_all_is_long_enough(plan: FeaturePlan) -> None:
    assert retention("t", None, max(needed_seconds(plan).values()), "k:1").status == "ok"
    assert retention("t", HOUR_MS, 3_600.0, "k:1").status == "ok"
    assert retention("t", HOUR_MS - 1, 3_600.0, "k:1").status == "warn"


def test_a_champion_and_none(kafka: str, pipeline: Pipeline) -> None:
    assert champion(pipeline, kafka).status == "warn"
    deploy_champion(kafka, pipeline=pipeline.name, model="m", version=3, artifact_hash="0", registry="", who="ann", why="test")
    found = champion(pipeline, kafka)
    assert (found.status, found.found) == ("ok", "m version 3, deployed by ann")


def test_a_registry_that_answers_one_that_is_not_there_and_one_that_is_down(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = local_uri(tmp_path / "registry")
    assert registry(pipeline, uri).status == "warn"  # nothing was trained yet
    MLflowRegistry(uri)
    found = registry(pipeline, uri)
    assert (found.status, found.found) == ("ok", f"{uri} has 0 versions of {pipeline.model}")
    down = registry(pipeline, "http://127.0.0.1:9")
    assert (down.status, "MLFLOW_TRACKING_URI" in down.remedy) == ("fail", True)


def test_a_broker_without_an_authorizer_fails(kafka: str) -> None:
    found = {each.name: each for each in kafka_security(kafka)}
    assert (found["Kafka's ACLs"].status, "no authorizer" in found["Kafka's ACLs"].found) == ("fail", True)
    assert found["Kafka's TLS"].status == "ok"  # loopback
    assert kafka_acls("127.0.0.1:1").status == "fail"


def test_plain_text_that_leaves_the_machine_fails() -> None:
    found = kafka_tls(["127.0.0.1", "10.0.0.7"])
    assert (found.status, "plain text to 10.0.0.7:" in found.found) == ("fail", True)
    assert redis_tls("redis://:secret@cache:6379/0").status == "fail"
    assert "secret" not in str(redis_tls("redis://:secret@cache:6379/0"))
    assert redis_tls("rediss://cache:6379/0").status == "ok"
    assert redis_tls("unix:///run/redis.sock").status == redis_tls("redis://localhost:6379/0").status == "ok"
    assert is_loopback("::1")


@pytest.fixture
def guarded_kafka() -> Iterator[str]:
    """A broker with an authorizer, which lets everybody do what no rule is about."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with EmbeddedKafka(settings=settings) as server:
        yield server.bootstrap_servers


def allow(bootstrap_servers: str, permission: AclPermissionType, operation: AclOperation) -> None:
    rule = AclBinding(
        ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission
    )
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.create_acls([rule]).values():
        future.result()


def test_an_authorizer_needs_rules_and_may_hide_them(guarded_kafka: str) -> None:
    empty = kafka_acls(guarded_kafka)
    assert (empty.status, empty.found) == ("fail", "an authorizer without a rule")
    allow(guarded_kafka, AclPermissionType.ALLOW, AclOperation.ALL)
    assert (kafka_acls(guarded_kafka).status, kafka_acls(guarded_kafka).found) == ("ok", "on, 1 rule")
    allow(guarded_kafka, AclPermissionType.DENY, AclOperation.DESCRIBE)
    assert (kafka_acls(guarded_kafka).status, kafka_acls(guarded_kafka).found) == ("ok", "on; this client may not see the rules")


def test_a_redis_that_asks_nobody_who_they_are_fails() -> None:
    with EmbeddedRedis() as server:
        bare = redis_acls(server.url)
        assert (bare.status, "no password" in bare.found) == ("fail", True)
        client = redis.Redis.from_url(server.url)
        client.execute_command("ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-acl")
        client.execute_command("ACL", "SETUSER", "tidegate", "on", ">pw", "~*", "&*", "+@all")
        hidden = redis_acls(server.url.replace("://", "://worker:pw@"))
        assert (hidden.status, hidden.found) == ("ok", "on; this user may not see them")
        assert redis_acls(server.url.replace("://", "://tidegate:pw@")).status == "fail"
        client.execute_command("CONFIG", "SET", "requirepass", "pw")
        asked = redis_acls(server.url.replace("://", "://:pw@"))
        assert (asked.status, asked.found) == ("ok", "as user default; the default user has a password")
        client.execute_command("ACL", "SETUSER", "default", "off")
        off = redis_acls(server.url.replace("://", "://tidegate:pw@"))
        assert (off.status, off.found) == ("ok", "as user tidegate; the default user is off")


def test_one_broker_is_warned_about(kafka: str, pipeline: Pipeline) -> None:
    ensure_topics(kafka, [output_topic(f"{pipeline.name}.sales", 1)])
    assert replicas_check(kafka, [f"{pipeline.name}.sales", "no.such.topic"]).status == "warn"
    assert judged(3, {"a": 3, "b": 1}, {}).found == "one copy alone of b"
    assert judged(3, {"a": 3}, {"a": 1}).found == "acknowledged by one broker alone: a"
    assert judged(3, {"a": 3}, {"a": 2}).status == "ok"


@pytest.mark.parametrize(
    ("name", "status"), [("risk-ml", "ok"), ("me", "fail"), (" TODO ", "fail"), ("", "fail"), ("team", "fail")]
)
def test_somebody_is_behind_an_alert(name: str, status: str) -> None:
    assert named("Owner", "owner", name).status == status


def test_a_price_is_declared(pipeline: Pipeline) -> None:
    assert price(pipeline).status == "ok"
    assert price(dataclasses.replace(pipeline, cost_usd_per_hour=None)).status == "fail"


def test_a_lost_file_is_a_failure_in_production_alone(redis_url: str) -> None:
    found = list(checks({**os.environ, "REDIS_URL": redis_url}))
    name = "Redis append-only file"
    assert [each.status for each in found if each.name == name] == ["warn"]
    assert [each.status for each in hardened(found) if each.name == name] == ["fail"]
    with EmbeddedRedis(appendonly=True) as server:
        kept = hardened(checks({**os.environ, "REDIS_URL": server.url}))
        assert [each.status for each in kept if each.name == name] == ["ok"]


def test_what_is_ready_goes_live_and_what_lacks_one_thing_does_not(
    guarded_kafka: str, file: Path, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = local_uri(tmp_path / "registry")
    MLflowRegistry(uri)
    deploy = tmp_path / "deploy"
    (deploy / "alertmanager").mkdir(parents=True)
    (deploy / "alertmanager" / "alertmanager.yml").write_text(yaml.safe_dump(routed()))
    allow(guarded_kafka, AclPermissionType.ALLOW, AclOperation.ALL)
    ensure_topics(guarded_kafka, [output_topic(f"{pipeline.name}.{name}", 1) for name in ("sales", "refunds")])
    deploy_champion(
        guarded_kafka, pipeline=pipeline.name, model="m", version=1, artifact_hash="0", registry=uri, who="w", why="y"
    )
    asked = ["doctor", "--production", str(file), "--deploy", str(deploy)]
    with EmbeddedRedis(appendonly=True) as server:
        redis.Redis.from_url(server.url).execute_command("CONFIG", "SET", "requirepass", "pw")
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", guarded_kafka)
        monkeypatch.setenv("REDIS_URL", server.url.replace("://", "://:pw@"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        unrendered = CliRunner().invoke(main, asked)
        assert (unrendered.exit_code, "tidegate alerts render" in unrendered.output) == (1, True), unrendered.output
        rendered = CliRunner().invoke(main, ["alerts", "render", str(file), "--out", str(deploy / "prometheus")])
        assert rendered.exit_code == 0, rendered.output
        ready = CliRunner().invoke(main, asked)
    assert (ready.exit_code, " fail " in ready.output) == (0, False), ready.output
    assert "Ready, with the warnings above." in ready.output  # one broker


def test_production_without_servers_fails_and_without_a_pipeline_is_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local_uri(tmp_path / "registry"))
    found = CliRunner().invoke(main, ["doctor", "--production", str(file)])
    assert found.exit_code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in found.output
    assert "REDIS_URL is not set" in found.output
    assert CliRunner().invoke(main, ["doctor", "--production"]).exit_code == 2
