"""Faults of the broker: away, frozen, slower than its producers, refusing records as too large, and without an output topic."""

import json
import time
from collections.abc import Iterator
from dataclasses import astuple

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from featurestore.events import contract
from streams.embedded.kafka import EmbeddedKafka
from streams.outputs import TopicNames
from tests.faults.campaign import campaign
from tests.faults.pipeline import PLACE, Scored
from tests.faults.registry import Run, fault
from tests.faults.world import Mark, World, wait_until

RUNS = 20
PAUSE_SECONDS = 20.0
AWAY_SECONDS = 0.0, 3.0
BURST_RATE, BURST_SECONDS = 3_000.0, 3.0
QUEUE_RECORDS = 20  # a chunk publishes hundreds
NARROW_BYTES = 8_000  # a single vector has 3,000, fifty have more
NOTHING_BYTES = 500  # not even one vector
LONG_KEY, FIRST_LONG = 40_000, 10**9  # characters; a number that the load does not reach
ADMIN_SECONDS = 30.0


def broker(world: World) -> EmbeddedKafka:
    assert world.stack.kafka is not None
    return world.stack.kafka


def admin(world: World) -> AdminClient:
    return AdminClient({"bootstrap.servers": world.settings.kafka, "log_level": 0})


def output_topics(world: World) -> tuple[str, ...]:
    return astuple(TopicNames.of(world.pipeline.name))


def away(run: Run, world: World, *, killed: bool) -> Mark:
    broker(world).kill() if killed else broker(world).stop()
    time.sleep(run.dice.uniform(*AWAY_SECONDS))
    broker(world).start()
    return world.mark()


@fault("broker_restart", runs=RUNS, summary="the broker stops in order and comes back")
def restart(run: Run) -> None:
    campaign(run, lambda world: away(run, world, killed=False))


@fault("broker_kill", runs=RUNS, summary="kill -9 of the broker, which comes back", short=0)
def kill(run: Run) -> None:
    campaign(run, lambda world: away(run, world, killed=True))


@fault(
    "broker_paused",
    runs=RUNS,
    summary=f"the broker answers nothing for {PAUSE_SECONDS:.0f} s, its connections open (SIGSTOP)",
    short=0,
)
def paused(run: Run) -> None:
    def inject(world: World) -> Mark:
        broker(world).pause()
        time.sleep(PAUSE_SECONDS)
        broker(world).resume()
        return world.mark()

    campaign(run, inject)


@fault(
    "queue_full",
    runs=RUNS,
    summary=f"a burst meets a producer that queues {QUEUE_RECORDS} records; in every other run the broker is frozen too",
)
def queue_full(run: Run) -> None:
    def inject(world: World) -> Mark:
        world.load(BURST_RATE)
        frozen = run.dice.random() < 0.5
        if frozen:
            broker(world).pause()
        time.sleep(BURST_SECONDS)
        if frozen:
            broker(world).resume()
        world.load(world.rate)
        return world.mark()

    campaign(run, inject, environment={"TIDEGATE_FAULTS_PRODUCER": json.dumps({"queue.buffering.max.messages": QUEUE_RECORDS})})


@fault(
    "too_large",
    runs=RUNS,
    summary="output topics refuse batches, single predictions and dead letters, for some seconds every vector, as too large",
)
def too_large(run: Run) -> None:
    numbers = iter(range(FIRST_LONG, 2 * FIRST_LONG))

    def inject(world: World) -> Mark:
        limit(world, NARROW_BYTES)
        send_large(run, world, numbers)
        if run.dice.random() < 0.3:
            take_nothing(run, world)
        return world.mark()

    campaign(run, inject)


def limit(world: World, max_bytes: int, *topics: str) -> None:
    """Sets max.message.bytes of the topics named, by default of all that workers publish to."""
    entry = ConfigEntry("max.message.bytes", str(max_bytes), incremental_operation=AlterConfigOpType.SET)
    names = topics or output_topics(world)
    resources = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry]) for name in names]
    client = admin(world)
    for changed in client.incremental_alter_configs(resources).values():
        changed.result(ADMIN_SECONDS)


def send_large(run: Run, world: World, numbers: Iterator[int]) -> None:
    """To every partition an event whose key, which its prediction repeats, is too long, and garbage that is."""
    producer, agreed = Producer({"bootstrap.servers": world.settings.kafka}), contract(Scored)
    for partition in range(world.partitions):
        event = Scored(f"e{next(numbers)}", time.time(), f"{PLACE[0]}{partition}", "card-1", "shop-1", "chip", 1.0)
        producer.produce(agreed.topic, msgspec.json.encode(event), run.dice.randbytes(LONG_KEY // 2).hex(), partition=partition)
        producer.produce(agreed.topic, run.dice.randbytes(LONG_KEY), b"garbage", partition=partition)
    assert producer.flush(60) == 0


def take_nothing(run: Run, world: World) -> None:
    """Workers stop and say what to raise; nobody starts them for good before it is raised."""
    said, topic = len(world.supervisor.exits), TopicNames.of(world.pipeline.name).features
    limit(world, NOTHING_BYTES, topic)
    wait_until(lambda: len(world.supervisor.exits) > said, 60.0, "a worker stops because a topic takes none of its records")
    last = world.supervisor.exits[-1]
    if topic not in last or "raise max.message.bytes" not in last:
        run.violation(f"a worker stopped without saying what to raise: {last}")
    run.note_more("stops_with_the_remedy", 1)
    limit(world, NARROW_BYTES, topic)


@fault("topic_deleted", runs=RUNS, summary="an output topic, or all of them, are deleted under running workers")
def topic_deleted(run: Run) -> None:
    """What was published into a deleted topic is gone by the operator's act: it has to answer only events produced later."""

    def inject(world: World) -> Mark:
        names = output_topics(world)
        gone = list(names) if run.dice.random() < 0.3 else [run.dice.choice(names)]
        client = admin(world)
        for deleted in client.delete_topics(gone, operation_timeout=ADMIN_SECONDS).values():
            deleted.result(ADMIN_SECONDS)
        mark, ends = world.mark(), world.sources.ends()
        for name in gone:
            world.oracle.forget(name, ends)
        world.outputs.forget(gone)
        wait_until(lambda: set(gone) <= client.list_topics(timeout=10).topics.keys(), 90.0, f"{', '.join(gone)} created again")
        world.outputs.catch_up()
        return mark

    campaign(run, inject)
