"""A real Kafka and a real Redis on this machine, for the demo, the tests and the benchmarks; not for production.

The Redis Cluster for tests is in streams.embedded.cluster, which loads the Redis client.
"""

from streams.embedded.errors import (
    EmbeddedError,
    FetchFailed,
    JarMismatch,
    MissingPart,
    NoAnswer,
    ServerFailed,
)
from streams.embedded.kafka import EmbeddedKafka
from streams.embedded.stack import Stack
from streams.embedded.valkey import EmbeddedRedis

__all__ = [
    "EmbeddedError",
    "EmbeddedKafka",
    "EmbeddedRedis",
    "FetchFailed",
    "JarMismatch",
    "MissingPart",
    "NoAnswer",
    "ServerFailed",
    "Stack",
]
