"""A monitor drains a topic of served vectors: how many a second, and what one costs it."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.gauge_feed import Feed
from benchmarks.gauges import pipeline
from benchmarks.monitor_process import MonitorProcess, drained, wait_for
from benchmarks.monitored import deploy
from streams.embedded import Stack
from streams.monitor.app import monitor_group
from streams.settings import Settings

PARTITIONS = 4
# As a worker with full chunks publishes them; a record of 30 features holds 1,200 rows at most.
ROWS_A_RECORD = 1_000
STALL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class MonitorDrain:
    """One drain: rows a second, CPU of the monitor in us a row, and its resident memory at the end."""

    rows_per_second: float
    cpu_us: float
    memory_mib: float


@contextmanager
def filled(rows: int) -> Iterator[dict[str, str]]:
    """A stack with a deployed model and so many served vectors; yields a monitor's environment."""
    with Stack.start() as stack, tempfile.TemporaryDirectory() as folder:
        environment = environment_of(stack, Path(folder))
        deploy(Settings.from_environment(environment, Path(folder)), PARTITIONS)
        Feed(stack.bootstrap_servers, PARTITIONS, rows_a_record=ROWS_A_RECORD).send(rows)
        yield environment


def environment_of(stack: Stack, folder: Path) -> dict[str, str]:
    """What a monitor's environment says of a stack."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
        "REDIS_URL": stack.redis_url,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/registry.db",
        "TIDEGATE_CACHE": str(folder / "models"),
        "OMP_NUM_THREADS": "1",
    }


def drain(environment: dict[str, str], rows: int, pipeline: str) -> MonitorDrain:
    """Starts a monitor that knows nothing on the filled topic, and ends it when it has read all."""
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        client.flushall()
    forget_group(environment["KAFKA_BOOTSTRAP_SERVERS"])
    with tempfile.TemporaryDirectory() as folder:
        monitor = MonitorProcess(environment, Path(folder) / "log", pipeline)
        try:
            monitor.wait_until_at_work()
            process, began = psutil.Process(monitor.pid), time.monotonic()
            cpu = sum(process.cpu_times()[:2])
            wait_for(lambda: drained(environment), "the monitor to read all rows", STALL_SECONDS)
            seconds, spent = time.monotonic() - began, sum(process.cpu_times()[:2]) - cpu
            memory = process.memory_info().rss / 2**20
        finally:
            monitor.stop()
    return MonitorDrain(rows / seconds, spent / rows * 1e6, memory)


def forget_group(bootstrap_servers: str) -> None:
    """Deletes the monitors' consumer group, so that the next one begins at the first row."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    with contextlib.suppress(KafkaException):  # there is none before the first
        admin.delete_consumer_groups([monitor_group(pipeline.name)])[monitor_group(pipeline.name)].result()
