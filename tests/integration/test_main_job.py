"""The main job on real data, end to end: flights through Kafka, two workers, four partitions, features in Redis."""

import asyncio
import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.flights import dataset
from examples.flights.pipeline import pipeline
from featurestore import offline
from featurestore.redis_store import RedisStore
from streams.embedded import Stack
from streams.settings import Settings
from streams.training import Registered, promote, register, train_pipeline
from tests.integration.replay import PLAN, ROOT, Job, differing_share, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FEBRUARY = dataset.month_start(2)
RECORDS = 6_000  # about three days of February


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Registered]:
    """A model trained on January, in a registry of its own."""
    folder = tmp_path_factory.mktemp("registry")
    dataset.write_parquet(folder / "history", 1, 1)
    trained = train_pipeline(pipeline, folder / "history", 0.0, FEBRUARY, seed=1)
    settings = Settings.from_environment({"XDG_CACHE_HOME": str(folder / "cache")}, folder)
    return settings, register(pipeline, trained, settings, folder)


@pytest.fixture
def job(version: tuple[Settings, Registered], tmp_path: Path) -> Iterator[Job]:
    """A fresh stack with the model deployed."""
    settings, registered = version
    with Stack.start(environ={}) as stack:
        addresses = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers, "REDIS_URL": stack.redis_url}
        addresses |= {"MLFLOW_TRACKING_URI": settings.registry_uri, "TIDEGATE_CACHE": str(settings.cache)}
        here = Settings.from_environment(addresses, tmp_path)
        promote(pipeline, registered, here, "test", "an integration test")
        running = Job(here, tmp_path)
        try:
            yield running
        finally:
            running.stop()


def records() -> list[dataset.Record]:
    return list(itertools.islice(dataset.replay_order(2, 2), RECORDS))


def history(sent: list[dataset.Record]) -> offline.History:
    """What an uninterrupted single process makes of the same events."""
    counts = Counter(record.topic for record in sent)
    batches = []
    for event, listed in dataset.events(2, 2).items():
        kept = listed[: counts[event.__contract__.topic]]  # type: ignore[union-attr]
        batches.append(dataset.as_batch(event, kept))
    return offline.compute(PLAN, batches)


def online_states(job: Job) -> dict[str, dict[bytes, bytes]]:
    async def dump() -> dict[str, dict[bytes, bytes]]:
        store = RedisStore(job.settings.redis, PLAN.shards)
        try:
            return {group.name: await store.dump(PLAN.namespace(group)) for group in PLAN.groups}
        finally:
            await store.close()

    return asyncio.run(dump())


def check_outcome(job: Job, expected: offline.History) -> tuple[int, float]:
    """Byte-equal states, every departure predicted, duplicates with one id; (duplicates, share of differing vectors)."""
    assert online_states(job) == expected.states
    found = job.predictions()
    by_event: dict[str, set[str]] = {}
    for prediction in found:
        by_event.setdefault(prediction.event_id, set()).add(prediction.prediction_id)
    assert by_event.keys() == {event.flight_id for event in expected.events}
    assert all(len(ids) == 1 for ids in by_event.values())
    return len(found) - len(by_event), differing_share(job.vectors(), expected.events, expected.served)


def test_two_workers_end_in_the_offline_states(job: Job, record_property: Callable[[str, object], None]) -> None:
    sent = records()
    job.start_worker()
    job.start_worker()
    job.send(sent)
    job.wait_until_done(120)
    duplicates, share = check_outcome(job, history(sent))
    record_property("share of served vectors that differ from offline", share)
    print(f"\n{share:.1%} of the served vectors differ from offline (interleaving of topics and partitions at full speed)")
    assert duplicates == 0
    check_the_docs_consumer(job, len({prediction.event_id for prediction in job.predictions()}))
    assert {prediction.model_version for prediction in job.predictions()} == {1}


def test_a_worker_killed_in_mid_replay_loses_and_doubles_nothing(job: Job) -> None:
    sent = records()
    victim = job.start_worker()
    job.start_worker()
    topic = f"{pipeline.name}.predictions"
    job.send(sent[:1_000])
    wait_for(lambda: len(job.values(topic)) > 100, 60, "the first predictions")
    job.send(sent[1_000:])
    victim.kill()
    job.wait_until_done(120)
    duplicates, share = check_outcome(job, history(sent))
    print(f"\n{duplicates} duplicated predictions after kill -9; {share:.1%} of the served vectors differ from offline")


def check_the_docs_consumer(job: Job, events: int) -> None:
    """The consumer in docs/topics.md, run as it stands there, sees every event once."""
    text = (ROOT / "docs" / "topics.md").read_text().split("```python\n")[1].split("```")[0]
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": job.settings.kafka}
    out = job.folder / "consumer.out"
    with out.open("wb") as file, subprocess.Popen([sys.executable, "-c", text], env=environment, stdout=file) as consumer:
        try:
            wait_for(lambda: len(out.read_text().splitlines()) >= events, 60, "the docs' consumer has seen every event")
        finally:
            consumer.kill()
    ids = [line.split()[0] for line in out.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == events
