"""Create the topics that are missing. Existing ones are left as they are, whatever their settings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from streams.errors import TopicError, TopicsMissing

DAY_MS = 24 * 3600 * 1000
OUTPUT_CONFIG: Mapping[str, str] = {
    "message.timestamp.type": "LogAppendTime",  # lag and latency are measured against the broker's clock
    "retention.ms": str(7 * DAY_MS),
}
BROKER_DEFAULT = -1
TIMEOUT_SECONDS = 15.0
QUIET = {"log_level": 2}  # an address that does not answer is told once, by us
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to exist. `partitions` and `replication` of -1 leave the number to the broker."""

    name: str
    partitions: int = BROKER_DEFAULT
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = BROKER_DEFAULT


def output_topic(name: str, partitions: int = BROKER_DEFAULT, **config: str) -> TopicSpec:
    """One of our own topics: the broker's time, a week's retention; `config` adds or overrides (dots as _)."""
    return TopicSpec(name, partitions, {**OUTPUT_CONFIG, **{k.replace("_", "."): v for k, v in config.items()}})


def ensure_topics(
    bootstrap_servers: str,
    specs: Sequence[TopicSpec],
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    client_config: Mapping[str, Any] | None = None,
) -> list[str]:
    """Create what is missing and wait until it is visible; returns the names created here.

    Raises TopicsMissing with exactly those that neither exist nor could be created. Another process creating the
    same topics at the same time is fine.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **QUIET, **(client_config or {})})
    present = existing(admin, timeout_seconds)
    missing = [spec for spec in specs if spec.name not in present]
    if not missing:
        return []
    created, refused = create(admin, missing, timeout_seconds)
    if refused:
        raise TopicsMissing(list(refused), "; ".join(sorted(set(refused.values()))))
    wait_until_visible(admin, {spec.name for spec in missing}, timeout_seconds)
    return created


def existing(admin: AdminClient, timeout_seconds: float) -> set[str]:
    try:
        metadata = admin.list_topics(timeout=timeout_seconds)
    except KafkaException as error:
        raise TopicError(
            f"Kafka did not answer within {timeout_seconds:.0f} s ({error.args[0].str()}): "
            "start it, or correct KAFKA_BOOTSTRAP_SERVERS."
        ) from error
    return {name for name, topic in metadata.topics.items() if topic.error is None}


def create(admin: AdminClient, specs: Sequence[TopicSpec], timeout_seconds: float) -> tuple[list[str], dict[str, str]]:
    """(created here, refused with the broker's reason)."""
    topics = [NewTopic(s.name, s.partitions, s.replication, config=dict(s.config)) for s in specs]
    created: list[str] = []
    refused: dict[str, str] = {}
    for name, future in admin.create_topics(topics, request_timeout=timeout_seconds).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                refused[name] = error.args[0].str()
    return created, refused


def wait_until_visible(admin: AdminClient, names: set[str], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while absent := names - existing(admin, timeout_seconds):
        if time.monotonic() > deadline:
            raise TopicsMissing(list(absent), f"created, but not visible after {timeout_seconds:.0f} s")
        time.sleep(POLL_SECONDS)
