"""Runs of `tidegate train` and `tidegate backfill` are recorded as they ended, and every monitor counts the same of them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import jsonschema
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from monitors.monitor_metrics import MonitorMetrics
from streams.jobs import SPEC, TOPIC, NewRuns, write_run
from streams.monitor.app import count_jobs
from streams.topics import ensure_topics
from tests.integration.shop import TILES, Shop, trade
from tests.streams.test_jobs import run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "jobs.json").read_text())
# Among the runs of all tests, as the topic is everybody's.
NO_RUN = b"no run"
# A backfill at which somebody presses Ctrl-C as its second merge has reached Redis.
INTERRUPTED = """
import asyncio, os, signal, sys
from featurestore import redis_store
from streams import cli, filling
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
filling.CHUNK_EVENTS = 100
merge, seen = redis_store.RedisStore.merge, []
async def merge_and_interrupt(self, source, merges):
    done = await merge(self, source, merges)
    seen.append(source)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)  # where it is met; redis-py under Python 3.11 may miss it just before it sends
    return done
redis_store.RedisStore.merge = merge_and_interrupt
cli.main(sys.argv[1:])
"""


def recorded(shop: Shop) -> list[dict[str, Any]]:
    """What the topic has of this shop, in order."""
    found = [json.loads(value) for _, _, value in shop.records(TOPIC) if value != NO_RUN]
    for one in found:
        jsonschema.validate(one, SCHEMA)
    return [one for one in found if one["pipeline"] == shop.name]


def ended(shop: Shop) -> list[tuple[str, str, str | None]]:
    return [(one["job"], one["result"], one["why"]) for one in recorded(shop)]


def history(shop: Shop) -> Path:
    """Files to train on."""
    events = trade(shop.pipeline(TILES), 0, 3_000)
    folder = shop.write_history(events)
    fraud = shop.pipeline(TILES).label.event
    labels = [fraud(id=one.id, fraud=crc32(one.id.encode()) % 3 == 0, at=one.at + 20) for one in events if hasattr(one, "shop")]
    rows = [msgspec.to_builtins(label) for label in labels]
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{shop.name}.frauds.parquet")
    return folder


def test_runs_are_recorded_as_they_ended(shop: Shop) -> None:
    file, before = shop.file(TILES), time.time()
    assert shop.call("train", file, "--from-kafka", "--who", "night job").exit_code == 1  # there is nothing in it
    assert shop.call("train", file, "--data", str(history(shop))).exit_code == 0
    assert shop.call("backfill", file, "--group", "nobody_by_nothing").exit_code == 1
    shop.send(trade(shop.pipeline(TILES), 0, 100))
    shop.commit_as_if_served()
    assert shop.call("backfill", file).exit_code == 0
    assert ended(shop) == [
        ("train", "failed", "HistoryError"),
        ("train", "succeeded", None),
        ("backfill", "failed", "DefinitionError"),
        ("backfill", "succeeded", None),
    ]
    first, second, *_ = recorded(shop)
    assert first["who"] == "night job"
    assert before < second["started"] < second["finished"] < time.time()
    assert second["seconds"] == pytest.approx(second["finished"] - second["started"], abs=0.5)


def test_without_kafka_training_goes_as_well_and_says_nothing(shop: Shop) -> None:
    done = shop.call("train", shop.file(TILES), "--data", str(history(shop)), KAFKA_BOOTSTRAP_SERVERS=None)
    assert done.exit_code == 0, done.output
    assert "record" not in done.output
    ensure_topics(shop.kafka, [SPEC])
    assert recorded(shop) == []


def test_a_run_that_somebody_broke_off_has_failed(shop: Shop) -> None:
    shop.send(trade(shop.pipeline(TILES), 0, 3_000))
    shop.commit_as_if_served()
    command = [sys.executable, "-c", INTERRUPTED, "backfill", shop.file(TILES)]
    done = subprocess.run(command, env=os.environ | shop.environment, timeout=60, check=False)
    assert done.returncode == 1
    assert ended(shop) == [("backfill", "failed", "KeyboardInterrupt")]


def exported(metrics: MonitorMetrics, pipeline: str) -> tuple[float | None, float | None, float | None]:
    """Trainings that succeeded and failed, and when one last succeeded."""
    labels = {"pipeline": pipeline, "job": "train"}
    found = [
        metrics.registry.get_sample_value("tidegate_job_runs_total", labels | {"result": r}) for r in ("succeeded", "failed")
    ]
    return found[0], found[1], metrics.registry.get_sample_value("tidegate_job_last_success_timestamp_seconds", labels)


def test_a_monitor_counts_all_runs_and_its_successor_the_same(shop: Shop) -> None:
    ensure_topics(shop.kafka, [SPEC])
    first, new_runs = MonitorMetrics(shop.name, []), NewRuns(shop.kafka)
    count_jobs(new_runs, shop.name, first)
    assert exported(first, shop.name) == (0, 0, 0)
    for job, result, finished in (("train", "succeeded", 100.0), ("train", "failed", 200.0), ("backfill", "failed", 300.0)):
        write_run(shop.kafka, run(job, result, finished, shop.name))
    count_jobs(new_runs, shop.name, first)
    assert exported(first, shop.name) == (1, 1, 100)
    assert new_runs() is None  # nothing new: not read again

    producer = Producer({"bootstrap.servers": shop.kafka})
    producer.produce(TOPIC, NO_RUN)
    assert producer.flush(30) == 0
    write_run(shop.kafka, run("train", "failed", 400.0, shop.name))
    count_jobs(new_runs, shop.name, first)
    second = MonitorMetrics(shop.name, [])
    count_jobs(NewRuns(shop.kafka), shop.name, second)
    assert exported(first, shop.name) == exported(second, shop.name) == (1, 2, 100)
