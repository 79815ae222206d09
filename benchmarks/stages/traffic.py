"""Bytes that events cause: in Kafka's logs, compressed as they lie there and travel, and between a worker and Redis."""

from pathlib import Path

import redis

from benchmarks.drain import PREDICTIONS
from benchmarks.workload import SOURCE, Workload
from examples.payments.pipeline import pipeline
from streams.outputs import TopicNames

TOPICS = {
    "source topic, uncompressed": SOURCE,
    "predictions, lz4": PREDICTIONS,
    "served vectors, lz4": TopicNames.of(pipeline.name).features,
}
FROM_REDIS, TO_REDIS = "read from Redis", "written to Redis"


def bytes_so_far(workload: Workload) -> dict[str, int]:
    """By topic, and both ways between Redis and all of its clients."""
    kafka = workload.stack.kafka
    assert kafka is not None  # `prepared` starts one
    found = {name: _size(kafka.directory / "data", topic) for name, topic in TOPICS.items()}
    with redis.Redis.from_url(workload.stack.redis_url) as client:
        stats = client.info("stats")
    return {**found, FROM_REDIS: stats["total_net_output_bytes"], TO_REDIS: stats["total_net_input_bytes"]}


def _size(logs: Path, topic: str) -> int:
    return sum(segment.stat().st_size for segment in logs.glob(f"{topic}-[0-9]*/*.log"))
