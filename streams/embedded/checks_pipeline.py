"""The doctor's checks of one pipeline: do its topics keep records long enough, does the registry answer, is a champion deployed?

Nothing is created, committed or changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from featurestore.definitions import span
from featurestore.plan import FeaturePlan
from scorer.cache import run_child
from scorer.deployments import current
from scorer.errors import ScorerError
from scorer.pipeline import Pipeline
from streams.deployments import TOPIC as DEPLOYMENTS
from streams.deployments import read_deployments
from streams.embedded.checks import Check
from streams.errors import StreamError
from streams.topic_facts import TopicFacts

if TYPE_CHECKING:
    from streams.settings import Settings

REGISTRY_SECONDS = 60.0  # a child imports MLflow: 2 s, and many more on a busy machine


def pipeline_checks(pipeline: Pipeline, plan: FeaturePlan, settings: Settings, *, kafka: bool) -> Iterator[Check]:
    """``kafka``: it answers. Those that need it only where it is set."""
    if settings.bootstrap_servers and kafka:
        try:
            yield from retention_checks(plan, settings.bootstrap_servers)
            yield champion(pipeline, settings.bootstrap_servers)
        except StreamError as error:
            yield Check(f"Topics of {pipeline.name}", "fail", "Kafka did not tell", str(error))
    yield registry(pipeline, settings.registry_uri)


def retention_checks(plan: FeaturePlan, bootstrap_servers: str) -> Iterator[Check]:
    """One of each topic that feeds a group; missing ones together."""
    facts, needed = TopicFacts(bootstrap_servers), needed_seconds(plan)
    there = {tp.topic for tp in facts.partitions(needed)}
    if missing := sorted(set(needed) - there):
        remedy = "workers create them when they start; who may not, asks whoever may (tidegate check PIPELINE lists them)"
        yield Check("Topics", "warn", f"missing: {', '.join(missing)}", remedy)
    kept = facts.retention_ms(sorted(there))
    for topic in sorted(there):
        yield retention(topic, kept[topic], needed[topic], bootstrap_servers)


def needed_seconds(plan: FeaturePlan) -> Mapping[str, float]:
    """How far back each topic is read when a group's state must be made again: its longest span, lateness included."""
    found: dict[str, float] = {}
    for group in plan.groups:
        found[group.topic] = max(found.get(group.topic, 0.0), group.horizon_seconds)
    return found


def retention(topic: str, kept_ms: int | None, needed: float, bootstrap_servers: str) -> Check:
    """``kept_ms``: the topic's retention.ms, None where it keeps all; ``needed`` in seconds."""
    name, needed_ms = f"Retention of {topic}", math.ceil(needed * 1000)
    if kept_ms is None:
        return Check(name, "ok", "for ever, or Kafka does not tell")
    found = f"{span(kept_ms // 1000)}; its features reach back {span(math.ceil(needed))}"
    if kept_ms >= needed_ms:
        return Check(name, "ok", found)
    remedy = (
        f"kafka-configs.sh --bootstrap-server {bootstrap_servers} --alter --entity-type topics --entity-name {topic} "
        f"--add-config retention.ms={needed_ms}"
    )
    return Check(name, "warn", f"{found}: after a loss of Redis, or in a new group, they would be incomplete", remedy)


def registry(pipeline: Pipeline, uri: str) -> Check:
    """Whether it answers for the pipeline's model; asked by a child process, as workers do."""
    try:
        versions: Sequence[object] = run_child(["versions", pipeline.model], uri, REGISTRY_SECONDS)["versions"]
    except ScorerError as error:
        served = uri.startswith(("http://", "https://"))
        remedy = "start it, or correct MLFLOW_TRACKING_URI" if served else "train a model: tidegate train PIPELINE --promote"
        return Check("Registry", "fail" if served else "warn", str(error).partition(": ")[0], remedy)
    return Check("Registry", "ok", f"{uri} has {len(versions)} version{'' if len(versions) == 1 else 's'} of {pipeline.model}")


def champion(pipeline: Pipeline, bootstrap_servers: str) -> Check:
    """What the deployments topic says; where there is no such topic, nobody ever deployed."""
    remedy = "tidegate train PIPELINE --promote"
    if TopicFacts(bootstrap_servers).ids([DEPLOYMENTS]):
        found = current(read_deployments(bootstrap_servers)).get(pipeline.name)
        if found is not None and found.champion is not None:
            one = found.champion
            return Check("Champion", "ok", f"{one.model} version {one.version}, deployed by {one.who}")
    return Check("Champion", "warn", "none: workers keep features and predict nothing", remedy)
