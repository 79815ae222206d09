"""`doctor --production PIPELINE`: what may be missing while things are tried out, and not once others depend on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from confluent_kafka import KafkaException

from featurestore.events import contract
from featurestore.plan import FeaturePlan
from scorer.pipeline import Pipeline
from streams.audit import TOPIC as AUDIT
from streams.deployments import TOPIC as DEPLOYMENTS
from streams.embedded.checks import Check
from streams.embedded.checks_alerting import alert_routes, alert_rules, rendered_rules
from streams.embedded.checks_replicas import replicas_check
from streams.embedded.checks_security import kafka_security, redis_acls, redis_tls
from streams.outputs import TopicNames
from streams.settings import Settings

# What templates hold where a name belongs.
NOBODY = {"", "me", "owner", "team", "todo", "tbd", "none", "nobody", "unknown", "user", "root", "test", "example", "changeme"}
MUST = ("Redis append-only file", "Champion", "Registry")  # warnings of the ordinary doctor, which fail here


def production_checks(
    pipeline: Pipeline, plan: FeaturePlan, settings: Settings, deploy: Path, *, kafka: bool, redis: bool
) -> Iterator[Check]:
    """Besides the ordinary ones. ``deploy``: the folder with prometheus/ and alertmanager/; ``kafka``, ``redis``: they answer."""
    yield named("Owner", "owner", pipeline.owner)
    yield named("Team", "team", pipeline.team)
    yield price(pipeline)
    rules = deploy / "prometheus" / f"{pipeline.name}.rules.yml"
    yield alert_rules(rules, rendered_rules(pipeline, rules))
    yield alert_routes(deploy / "alertmanager" / "alertmanager.yml", pipeline)
    yield from _kafka(settings, _topics(pipeline, plan), kafka)
    yield from _redis(settings, redis)


def hardened(checks: Iterable[Check]) -> Iterator[Check]:
    """The ordinary checks, with the warnings of MUST as failures."""
    for check in checks:
        yield replace(check, status="fail") if check.status == "warn" and check.name in MUST else check


def named(what: str, keyword: str, name: str) -> Check:
    """Alerts name an owner and go to a team; somebody must be behind both."""
    if name.strip().lower() in NOBODY:
        return Check(what, "fail", f"{keyword}={name!r} is nobody", f"{keyword}= of the pipeline: who is called at night")
    return Check(what, "ok", name)


def price(pipeline: Pipeline) -> Check:
    if pipeline.cost_usd_per_hour is None:
        remedy = "cost_usd_per_hour= of the pipeline: what one worker costs an hour"
        return Check("Price", "fail", "none is declared: nothing can say what a prediction costs", remedy)
    return Check("Price", "ok", f"{pipeline.cost_usd_per_hour:g} USD an hour and worker")


def _topics(pipeline: Pipeline, plan: FeaturePlan) -> list[str]:
    names = TopicNames.of(pipeline.name)
    consumed = [contract(event).topic for event in (*plan.events, pipeline.label.event)]
    return list(dict.fromkeys([*consumed, names.predictions, names.features, names.dead_letters, DEPLOYMENTS, AUDIT]))


def _kafka(settings: Settings, topics: list[str], answers: bool) -> Iterator[Check]:
    if settings.bootstrap_servers is None:
        yield Check("Kafka", "fail", "KAFKA_BOOTSTRAP_SERVERS is not set", "set it to the production brokers' addresses")
    elif answers:
        yield from kafka_security(settings.bootstrap_servers)
        try:
            yield replicas_check(settings.bootstrap_servers, topics)
        except KafkaException as error:
            yield Check("Kafka's replicas", "warn", f"not told: {error.args[0].str()}", "run this again")


def _redis(settings: Settings, answers: bool) -> Iterator[Check]:
    import redis

    if settings.redis_url is None:
        yield Check("Redis", "fail", "REDIS_URL is not set", "set it to the production server's address")
        return
    yield redis_tls(settings.redis_url)
    if answers:
        try:
            yield redis_acls(settings.redis_url)
        except redis.RedisError as error:
            yield Check("Redis' ACLs", "fail", f"not told: {type(error).__name__}", "start it, then run this again")
