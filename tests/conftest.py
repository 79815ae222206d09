"""What every test may use: one real Kafka and one real Redis for the session, started when first asked for.

KAFKA_BOOTSTRAP_SERVERS and REDIS_URL make the session use those instead; Redis' database is then emptied only where
a test asks for `redis_client`, so name one that holds nothing else. Two processes would empty it under each other: with
either set, all tests run in one.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import redis as redis_package
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import settings

from streams.embedded import EmbeddedRedis, Stack
from streams.embedded.cluster import EmbeddedCluster
from streams.running import NOISY

PROCESSES_MAX = 4  # each has up to 3 GB of servers and workers under test

# OpenMP's threads spin while they wait for each other: beside a busy process training took eighteen times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A first example that compiles or loads something takes as long as the machine is busy; that is no failure.
settings.register_profile("tidegate", deadline=None)
settings.load_profile("tidegate")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """In how many processes `make test` runs, each with servers of its own; 0 is pytest's own, for tests asked for by name.

    Two even on a single core: most of the time goes into waiting for processes that start and sessions that end.
    """
    named = config.option.keyword or any("::" in argument for argument in config.args)
    if named or os.environ.keys() & {"KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"}:
        return 0
    return max(2, min(len(os.sched_getaffinity(0)), PROCESSES_MAX))


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """Commands set the level of what they log; in one process with other tests it must not stay."""
    loggers = [logging.getLogger(name) for name in ("streams", *NOISY)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a real Kafka."""
    with Stack.start(redis=False) as stack:
        yield stack.bootstrap_servers


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a real Redis."""
    with Stack.start(kafka=False) as stack:
        yield stack.redis_url


@pytest.fixture(scope="session")
def debians_redis_url() -> Iterator[str]:
    """URL of the Redis that Debian has (7.0): not every Redis is a Valkey."""
    if (binary := shutil.which("redis-server")) is None:
        pytest.skip("no redis-server: apt-get install redis-server")
    with EmbeddedRedis(binary=Path(binary)) as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedCluster]:
    """A Redis Cluster of three primaries and three replicas. Leave it whole: other tests use it after you."""
    with EmbeddedCluster() as nodes:
        yield nodes


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis_package.Redis]:
    """A client of an empty database, emptied again afterwards."""
    with redis_package.Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Turns a word into a name nobody else uses: topics, groups and pipelines share the session's broker."""
    return lambda word: f"{word}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def topic_name(unique: Callable[[str], str]) -> str:
    """A topic name nobody else uses; the topic does not exist yet."""
    return unique("topic")


@pytest.fixture
def make_topic(kafka: str, unique: Callable[[str], str]) -> Callable[..., str]:
    """`make_topic("departures", partitions=4, **config)` creates a topic and returns its unique name.

    Nothing is deleted by age unless a test asks for it: its records are often years old, and the broker looks every 5 minutes.
    """
    admin = AdminClient({"bootstrap.servers": kafka})

    def make(word: str = "topic", *, partitions: int = 1, **config: str) -> str:
        name = unique(word)
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config={"retention.ms": "-1", **config})
        admin.create_topics([topic])[name].result(timeout=30)
        return name

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that lacks a Debian package skips and names the command; in CI, which installs those first, that is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and "apt-get install" in str(report.longrepr):
        report.outcome = "failed"
    return report
