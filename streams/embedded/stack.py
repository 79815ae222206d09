"""The stack as one thing: Kafka and Redis, embedded or the ones the environment names.

    with Stack.start() as stack:
        stack.bootstrap_servers, stack.redis_url

The demo, the tests, the benchmarks and `tidegate up` begin here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from streams.embedded.external import check_kafka, check_redis
from streams.embedded.jars import Progress
from streams.embedded.kafka import EmbeddedKafka
from streams.embedded.server import EmbeddedServer
from streams.embedded.valkey import EmbeddedRedis

if TYPE_CHECKING:
    from streams.embedded.cluster import EmbeddedCluster  # loads a Redis client

KAFKA_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
REDIS_VARIABLE = "REDIS_URL"


@dataclass(slots=True)
class Stack:
    """Addresses of a running stack, and the servers of it that are ours (None: external, or not asked for)."""

    bootstrap_servers: str = ""
    redis_url: str = ""
    kafka: EmbeddedKafka | None = None
    redis: EmbeddedRedis | None = None
    cluster: EmbeddedCluster | None = None  # in the place of `redis`

    @classmethod
    def start(
        cls,
        *,
        kafka: bool = True,
        redis: bool = True,
        progress: Progress | None = None,
        environ: Mapping[str, str] | None = None,
        heap_mb: int = 512,
        appendonly: bool = False,
        data_dir: Path | None = None,
        cluster: bool = False,
    ) -> Stack:
        """Starts what was asked for and returns when all of it answers.

        A part whose address is in `environ` (by default the process's environment) is not started but must answer.
        `data_dir` keeps Kafka's and Valkey's data under it from one run to the next; else it goes at the end.
        `cluster` makes Redis a cluster of six nodes, for tests, with data that go at the end.
        Any EmbeddedError's text is for the user; nothing is left running after it.
        """
        environ = os.environ if environ is None else environ
        stack = cls()
        try:
            if cluster:
                stack._start_cluster(environ, appendonly=appendonly)
            elif redis:
                directory = data_dir and data_dir / "valkey"
                stack._start_redis(environ, appendonly=appendonly or data_dir is not None, data_dir=directory)
            if kafka:
                directory = data_dir and data_dir / "kafka"
                stack._start_kafka(environ, progress=progress, heap_mb=heap_mb, data_dir=directory)
        except BaseException:
            stack.close()
            raise
        return stack

    @property
    def servers(self) -> list[EmbeddedServer]:
        """The servers that are ours."""
        return [server for server in (self.kafka, self.redis) if server is not None]

    def close(self) -> None:
        """Stops what is ours and removes its data."""
        for server in self.servers:
            server.close()
        if self.cluster is not None:
            self.cluster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start_redis(self, environ: Mapping[str, str], *, appendonly: bool, data_dir: Path | None) -> None:
        if url := environ.get(REDIS_VARIABLE):
            check_redis(url)
            self.redis_url = url
            return
        self.redis = EmbeddedRedis(environ=environ, appendonly=appendonly, data_dir=data_dir)
        self.redis_url = self.redis.start().url

    def _start_cluster(self, environ: Mapping[str, str], *, appendonly: bool) -> None:
        from streams.embedded.cluster import EmbeddedCluster

        self.cluster = EmbeddedCluster(environ=environ, appendonly=appendonly)
        self.redis_url = self.cluster.start().url

    def _start_kafka(self, environ: Mapping[str, str], *, progress: Progress | None, heap_mb: int, data_dir: Path | None) -> None:
        if servers := environ.get(KAFKA_VARIABLE):
            check_kafka(servers)
            self.bootstrap_servers = servers
            return
        self.kafka = EmbeddedKafka(environ=environ, progress=progress, heap_mb=heap_mb, data_dir=data_dir)
        self.bootstrap_servers = self.kafka.start().bootstrap_servers
