"""The topic ``tidegate.deployments``: the truth about what should run, written before anything mirrors it, read to its end."""

import logging
import time
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from scorer.deployments import CHAMPION, Deployment, Running, current, decode, encode
from scorer.errors import DeploymentError
from streams.errors import DeploymentsError
from streams.topics import TopicSpec, ensure_topics

log = logging.getLogger(__name__)

TOPIC = "tidegate.deployments"
# One partition keeps the changes in order; they are the audit trail, so nothing is ever removed.
SPEC = TopicSpec(TOPIC, 1, {"cleanup.policy": "delete", "retention.ms": "-1", "message.timestamp.type": "LogAppendTime"})
TIMEOUT_SECONDS = 20.0
RETRY_SECONDS = 0.05
PASSING = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART})
ERRORS_ONLY = 3  # librdkafka's syslog level: its warnings are about what it tries again by itself


def read_deployments(bootstrap_servers: str) -> list[Deployment]:
    """Every record up to the end that the topic has now, in order; unreadable ones are logged and skipped."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"tidegate-deployments-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        },
        logger=log,
    )
    try:
        return _read_to_end(consumer)
    except KafkaException as error:
        raise DeploymentsError(f"{TOPIC} could not be read: {error.args[0].str()}; check KAFKA_BOOTSTRAP_SERVERS") from error
    finally:
        consumer.close()


def _read_to_end(consumer: Consumer) -> list[Deployment]:
    partition = TopicPartition(TOPIC, 0, OFFSET_BEGINNING)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    end = _end(consumer, partition, deadline)
    records: list[Deployment] = []
    if end == 0:
        return records
    consumer.assign([partition])
    while (position := consumer.position([partition])[0].offset) < end:
        if time.monotonic() > deadline:
            raise DeploymentsError(f"{TOPIC} was read up to {position} of {end} in {TIMEOUT_SECONDS:.0f} s; is Kafka overloaded?")
        for message in consumer.consume(1000, timeout=1.0):
            if message.error():
                raise KafkaException(message.error())
            try:
                records.append(decode(message.value() or b""))
            except DeploymentError as error:
                log.warning("%s offset %s: %s", TOPIC, message.offset(), error)
    return records


def _end(consumer: Consumer, partition: TopicPartition, deadline: float) -> int:
    """The partition's end offset. A topic just created has no leader for a moment, which passes."""
    while True:
        try:
            return int(consumer.get_watermark_offsets(partition, timeout=TIMEOUT_SECONDS)[1])
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def running(bootstrap_servers: str, pipeline: str) -> Running:
    """What a pipeline should run, by the topic's records; the topic is created where it is missing."""
    ensure_topics(bootstrap_servers, [SPEC])
    return current(read_deployments(bootstrap_servers)).get(pipeline, Running())


def publish_deployment(bootstrap_servers: str, record: Deployment) -> None:
    """Writes a change and waits until every replica has it; DeploymentsError otherwise."""
    ensure_topics(bootstrap_servers, [SPEC])
    failures: list[str] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "acks": "all", "log_level": ERRORS_ONLY}, logger=log
    )

    def report(error: object, _: object) -> None:
        if error is not None:
            failures.append(str(error))

    producer.produce(TOPIC, key=record.pipeline, value=encode(record), on_delivery=report)
    unsent = producer.flush(TIMEOUT_SECONDS)
    if unsent or failures:
        raise DeploymentsError(f"the deployment was not written to {TOPIC}: {'; '.join(failures) or 'no answer from Kafka'}")


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
