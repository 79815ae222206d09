"""A worker's clock is an hour off. What is accepted, rejected, counted and served depends on records and states alone."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from featurestore.events import contract
from streams.outputs import TopicNames
from streams.vectors import decode_vectors
from tests.faults import bulk
from tests.faults.pipeline import PLACE, Scored
from tests.faults.reading import Topics, retrying
from tests.faults.registry import Run, fault
from tests.faults.sampling import INSIDE
from tests.faults.world import World, wait_until

HOUR = 3_600.0
LOAD_SECONDS, READY_SECONDS = 8.0, 180.0
REPLAYED = 5_000  # events, in one partition: the order in which partitions meet is nobody's promise
TEMPTED, TEMPTING = 50, 10**9  # how many, and the number of the first: no other event has it
OWN_TIMES = ("scored_time", "rejected_time")  # what a worker's clock may say


def moved(seconds: float) -> dict[str, str]:
    """The environment of a worker whose clock is off."""
    return {"PYTHONPATH": str(INSIDE), "TIDEGATE_FAULTS_CLOCK": str(seconds)}


@fault("clock", runs=4, summary="a worker's clock is an hour ahead or behind, beside one that is right")
def clock(run: Run) -> None:
    """Two workers, one with a wrong clock; the other is killed, so that the wrong one answers for all, and comes back."""
    for number in run.each():
        off = HOUR if number % 2 == 0 else -HOUR
        with run.world(started=False, seed=run.seed + number) as world:
            world.start_worker(**moved(off))
            world.start_worker()
            world.wait_ready(READY_SECONDS)
            world.load()
            with _tempting(world):
                time.sleep(LOAD_SECONDS)
                mark = world.mark()
                world.workers[1].kill()
                run.recovered(world.wait_recovered(mark))
                world.start_worker()
                time.sleep(LOAD_SECONDS)
            world.drain()
            run.judge(world.verify())


@contextmanager
def _tempting(world: World) -> Iterator[None]:
    """Sends, now and then, events half an hour after their records: a worker an hour ahead would let them pass."""
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(0.1):
            _tempt(world, 2)

    thread = threading.Thread(target=send, name="tempting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _tempt(world: World, count: int) -> None:
    producer, now = Producer({"bootstrap.servers": world.settings.kafka, "log_level": 0}), time.time()
    for number in range(count):
        partition = number % world.partitions
        event = Scored(f"e{TEMPTING + number}", now + HOUR / 2, f"{PLACE[0]}{partition}", "card-1", "shop-1", "chip", 1.0)
        producer.produce(contract(Scored).topic, msgspec.json.encode(event), b"card-1", partition)
    producer.flush(30)


@fault("clock_replay", runs=1, summary="three workers, clocks an hour behind, right and an hour ahead, read the same records")
def clock_replay(run: Run) -> None:
    """One after the other, from the same empty start: everything they publish and leave behind is equal, but for its own time."""
    for number in run.each():
        with run.world(started=False, partitions=1) as world:
            world.supervise = False  # another would not have the clock
            bulk.use_producers_time(world.settings.kafka)
            bulk.send(world.settings.kafka, bulk.Bulk(REPLAYED, 1, 100.0, time.time() - HOUR, run.seed + number))
            _tempt(world, TEMPTED)
            outcomes = [_alone(world, off) for off in (-HOUR, 0.0, HOUR)]
            names = ("predictions", "served vectors and ages", "dead letters", "states")
            for name, behind, right, ahead in zip(names, *outcomes, strict=True):
                if not right:
                    run.violation(f"no {name}")
                if not behind == right == ahead:
                    run.violation(f"{name} differ between workers whose clocks differ")
            run.note("replayed_events", REPLAYED)
        run.notes.pop("predicted_twice", None)  # each of the three predicted everything, as it should


def _alone(world: World, off: float) -> tuple[Any, ...]:
    """What one worker makes of everything, beginning with nothing."""
    names = dataclasses.astuple(TopicNames.of(world.pipeline.name))
    topics = Topics(world.settings.kafka, names)
    for _ in topics.read_on():
        pass  # what its predecessor published
    worker = world.start_worker(**moved(off))
    world.wait_ready(READY_SECONDS)
    wait_until(lambda: world.lag() == 0, 60.0, "every record committed")
    worker.terminate()
    if code := worker.wait():
        raise RuntimeError(f"{worker.name} ended with exit code {code}")
    messages = [message for batch in topics.read_on() for message in batch]
    topics.close()
    outcome = (*(_published(messages, name) for name in names), world.states())
    world.workers.clear()
    forget(world)
    return outcome


def _published(messages: list[Any], topic: str) -> list[Any]:
    values = [message.value() for message in messages if message.topic() == topic]
    if topic.endswith(".features"):
        rows = [row for value in values for row in decode_vectors(value).to_pylist()]
        return sorted((_bits(row) for row in rows), key=lambda row: str(row["prediction_id"]))
    decoded = [msgspec.json.decode(value) for value in values]
    return sorted(({k: v for k, v in one.items() if k not in OWN_TIMES} for one in decoded), key=str)


def _bits(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its numbers as text that tells every bit apart and is equal to itself, NaN too."""
    return {name: repr(value) for name, value in row.items()}


def forget(world: World) -> None:
    """No state and no committed offset: the next worker begins at the first record."""
    import redis

    with redis.Redis.from_url(world.settings.redis) as client:
        client.flushall()
    group = f"tidegate.{world.pipeline.name}"
    admin = AdminClient({"bootstrap.servers": world.settings.kafka})  # its futures die with it
    retrying(lambda: admin.delete_consumer_groups([group])[group].result())  # a worker's leave may be on its way
