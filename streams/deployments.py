"""The topic ``tidegate.deployments``: the truth about what should run, written before anything mirrors it, read to its end."""

import time
import uuid

from scorer.deployments import CHAMPION, Deployment, Running, current, decode, encode
from scorer.errors import DeploymentError
from streams.errors import DeploymentsError
from streams.small_topic import append, kept_topic, read_all
from streams.topics import ensure_topics

TOPIC = "tidegate.deployments"
SPEC = kept_topic(TOPIC)


def read_deployments(bootstrap_servers: str) -> list[Deployment]:
    """Every record up to the end that the topic has now, in order; unreadable ones are logged and skipped."""
    return read_all(bootstrap_servers, TOPIC, decode, DeploymentError, DeploymentsError)


def running(bootstrap_servers: str, pipeline: str) -> Running:
    """What a pipeline should run, by the topic's records; the topic is created where it is missing."""
    ensure_topics(bootstrap_servers, [SPEC])
    return current(read_deployments(bootstrap_servers)).get(pipeline, Running())


def publish_deployment(bootstrap_servers: str, record: Deployment) -> None:
    """Writes a change and waits until every replica has it; DeploymentsError otherwise."""
    ensure_topics(bootstrap_servers, [SPEC])
    append(bootstrap_servers, TOPIC, record.pipeline, encode(record), DeploymentsError)


def deploy_champion(
    bootstrap_servers: str, *, pipeline: str, model: str, version: int, artifact_hash: str, registry: str, who: str, why: str
) -> None:
    """Makes a registered version the champion of a pipeline; the record names the version that it replaces."""
    before = running(bootstrap_servers, pipeline).champion
    record = Deployment(
        change_id=uuid.uuid4().hex,
        pipeline=pipeline,
        model=model,
        role=CHAMPION,
        version=version,
        who=who,
        when=time.time(),
        why=why,
        previous_version=before.version if before else None,
        artifact_hash=artifact_hash,
        registry=registry,
    )
    publish_deployment(bootstrap_servers, record)
