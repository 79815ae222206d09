"""`doctor --production`: does a topic outlive one broker?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from streams.embedded.checks import Check
from streams.embedded.external import ANSWER_SECONDS
from streams.topics import QUIET

NAME = "Kafka's replicas"
LEAST = 2


def replicas_check(bootstrap_servers: str, topics: Collection[str]) -> Check:
    """Of those topics that are there. KafkaException where no broker answers."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **QUIET})
    metadata = admin.list_topics(timeout=ANSWER_SECONDS)
    replicas = {
        name: min(len(one.replicas) for one in metadata.topics[name].partitions.values())
        for name in topics
        if name in metadata.topics and metadata.topics[name].partitions
    }
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in replicas]) if replicas else {}
    in_sync = {}
    for resource, future in asked.items():
        try:
            in_sync[resource.name] = int(future.result()["min.insync.replicas"].value)
        except KafkaException:  # we may not ask: nothing is known, so nothing is said
            continue
    return judged(len(metadata.brokers), replicas, in_sync)


def judged(brokers: int, replicas: Mapping[str, int], in_sync: Mapping[str, int]) -> Check:
    """``replicas`` and ``in_sync`` (min.insync.replicas) by topic."""
    if brokers < LEAST:
        return Check(NAME, "warn", "one broker: while it is down nothing is scored, and its disk is the only copy", "run three")
    if alone := sorted(name for name, count in replicas.items() if count < LEAST):
        remedy = "kafka-reassign-partitions.sh, and default.replication.factor=3 for topics to come"
        return Check(NAME, "warn", f"one copy alone of {', '.join(alone)}", remedy)
    if unsure := sorted(name for name, least in in_sync.items() if least < LEAST and replicas[name] > LEAST):
        remedy = "kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config min.insync.replicas=2"
        return Check(NAME, "warn", f"acknowledged by one broker alone: {', '.join(unsure)}", remedy)
    return Check(NAME, "ok", f"{brokers} brokers, {min(replicas.values(), default=0)} copies at least")
