"""A shop under test: sales that are scored, refunds that only feed; a pipeline file in two versions; workers as processes."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from featurestore import offline
from featurestore.events import Event, EventBatch, Source, contract
from featurestore.plan import FeaturePlan, compile_plan
from featurestore.redis_store import RedisStore
from scorer.pipeline import Pipeline
from scorer.training import train
from streams.chunk import TP
from streams.cli import main
from streams.deployments import deploy_champion
from streams.loading import load_pipeline
from streams.settings import Settings
from streams.topic_facts import PASSING, TopicFacts, group_of
from tests.champions import cached
from tests.integration.replay import wait_for

START = 1_700_000_000.0
TILES = 6  # of a window, unless a test says otherwise
TEXT = """
from typing import Annotated

from msgspec import Meta

from streams import Count, Event, Label, Max, Mean, On, Pipeline, Raw, Std, Sum

Amount = Annotated[float, Meta(ge=0, le=10_000)]


class Sale(Event, topic="NAME.sales", key="user", id="id", time="at"):
    id: str
    user: str | None
    shop: str
    amount: Amount
    at: float


class Refund(Event, topic="NAME.refunds", key="buyer", id="id", time="at"):
    id: str
    buyer: str
    amount: Amount
    at: float


class Fraud(Event, topic="NAME.frauds", key="id", id="id", time="at"):
    id: str
    fraud: bool
    at: float


pipeline = Pipeline(
    name="NAME",
    owner="tests",
    team="tests",
    task="binary",
    score=Sale,
    features=[
        On(Sale, by="user", fields={"amount": [Sum, Mean, Std]}, aggregates=[Count], windows=["1m", "10m"], tiles=TILES),
        On(Sale, by=("user", "shop"), fields={"amount": [Max]}, windows=["5m"], tiles=TILES),
        On(Refund, by="buyer", read_by="user", fields={"amount": [Mean]}, aggregates=[Count], windows=["10m"], tiles=4),
        Raw("amount"),
    ],
    label=Label(Fraud, id="id", value=lambda fraud: fraud.fraud, maturity="1m"),
    model="NAME",
    shards=4,
)
"""


HASH_KEY = "a key of the tests, and of nothing else"
OTHER_KEY = "another key than the shop's, as long as one must be"


@dataclass
class Shop:
    """One pipeline of its own name on the session's Kafka and Redis."""

    kafka: str
    redis: str
    folder: Path
    name: str
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admin = AdminClient({"bootstrap.servers": self.kafka})
        partitions = {"sales": 3, "refunds": 2, "frauds": 1}
        for created in self.admin.create_topics(
            [NewTopic(f"{self.name}.{kind}", n, 1) for kind, n in partitions.items()]
        ).values():
            created.result(30)

    @property
    def environment(self) -> dict[str, str]:
        own = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "REDIS_URL": self.redis, "TIDEGATE_HASH_KEY": HASH_KEY}
        return own | {"TIDEGATE_CACHE": str(self.folder / "cache"), "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/none.db"}

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment, self.folder)

    def file(self, tiles: int) -> str:
        """The pipeline's file with groups of so many tiles: another number is another layout, of the same features."""
        path = self.folder / f"shop_{tiles}.py"
        path.write_text(TEXT.replace("NAME", self.name).replace("TILES", str(tiles)))
        return str(path)

    def pipeline(self, tiles: int) -> Pipeline:
        return load_pipeline(self.file(tiles))

    def plan(self, tiles: int) -> FeaturePlan:
        found = self.pipeline(tiles)
        return compile_plan(found.name, found.score, found.features, found.shards)

    def deploy(self) -> None:
        """Makes a model of random vectors the champion; it lies in the workers' cache, so that no registry is asked."""
        plan, dice = self.plan(6), np.random.default_rng(1)
        matrix = dice.exponential(50, (2_500, len(plan.schema)))
        labels, times = (matrix[:, 0] > 40).astype(np.float64), np.arange(2_500.0)
        trained = train(matrix, labels, times, plan.schema, task="binary", seed=1, gap_seconds=1.0, rounds_max=5)
        digest = cached(trained, self.name, self.folder, self.folder / "cache")
        deploy_champion(
            self.kafka, pipeline=self.name, model=self.name, version=1, artifact_hash=digest, registry="none", who="t", why="t"
        )

    def call(self, *arguments: str, **environment: str | None) -> Result:
        """A command of `tidegate`, in this process."""
        return CliRunner().invoke(main, list(arguments), env=self.environment | environment)

    def start_worker(self, tiles: int, *options: str, **environment: str) -> Callable[[], str]:
        """A worker as a process; gives what it has said so far."""
        command = [sys.executable, "-m", "streams.cli", "worker", self.file(tiles), "--web-port", "0", "--session-timeout", "6"]
        command += options
        path = self.folder / f"worker-{len(self.workers)}.log"
        there = os.environ | self.environment | environment
        with path.open("wb") as log:
            self.workers.append(subprocess.Popen(command, env=there, stdout=log, stderr=log))
        return path.read_text

    def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def send(self, events: Iterable[Any]) -> None:
        """An entity's events to one partition, by a hash of its name that is the same in every run."""
        producer = Producer({"bootstrap.servers": self.kafka, "partitioner": "murmur2_random"})
        for event in events:
            agreed = contract(type(event))
            key = getattr(event, agreed.key)
            producer.produce(agreed.topic, key=key and key.encode(), value=msgspec.json.encode(event))
            producer.poll(0)
        assert producer.flush(60) == 0

    def facts(self) -> TopicFacts:
        return TopicFacts(self.kafka)

    def tps(self) -> list[TP]:
        return self.facts().partitions([f"{self.name}.sales", f"{self.name}.refunds"])

    def commit_as_if_served(self) -> None:
        """Commits the group up to the logs' ends, as workers of an older version would have."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": group_of(self.name)})
        ends = [TopicPartition(*tp, end) for tp, end in self.facts().ends(self.tps()).items()]

        def committed() -> bool:
            try:
                return bool(consumer.commit(offsets=ends, asynchronous=False))
            except KafkaException as error:  # a young broker's coordinator is not there at once
                if error.args[0].code() not in PASSING:
                    raise
                return False

        wait_for(committed, 60, "the offsets committed")
        consumer.close()

    def lag(self) -> int:
        committed = self.facts().committed(group_of(self.name), self.tps())
        return sum(end - (committed[tp] or 0) for tp, end in self.facts().ends(self.tps()).items())

    def wait_until_committed(self, seconds: float = 120) -> None:
        try:
            wait_for(lambda: self.lag() == 0, seconds, "every record committed")
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n" + "\n".join(path.read_text() for path in self.folder.glob("worker-*.log"))
            ) from error

    def delete_records(self, tp: TP, before: int) -> None:
        """What retention does, now."""
        for done in self.admin.delete_records([TopicPartition(*tp, before)]).values():
            done.result(30)

    def records(self, topic: str) -> list[tuple[TP, int, bytes]]:
        """Everything that Kafka holds of a topic."""
        tps = self.facts().partitions([topic])
        firsts, ends = self.facts().firsts(tps), self.facts().ends(tps)
        left = {tp for tp in tps if ends[tp] > firsts[tp]}
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "reader", "enable.partition.eof": True})
        out = []
        try:
            consumer.assign([TopicPartition(*tp, firsts[tp]) for tp in left])
            while left:
                message: Any = consumer.poll(10)
                assert message is not None, f"{topic} was not read to its end"
                tp = TP(message.topic(), message.partition())
                if message.error():
                    left.discard(tp)
                else:
                    out.append((tp, message.offset(), message.value()))
        finally:
            consumer.close()
        return out

    def predicted(self) -> dict[str, set[str]]:
        """The prediction ids of each event id."""
        out: dict[str, set[str]] = {}
        for _, _, value in self.records(f"{self.name}.predictions"):
            found = json.loads(value)
            out.setdefault(found["event_id"], set()).add(found["prediction_id"])
        return out

    def states(self, tiles: int) -> dict[str, dict[bytes, bytes]]:
        """What Redis holds of each group."""
        plan = self.plan(tiles)

        async def dump() -> dict[str, dict[bytes, bytes]]:
            store = RedisStore(self.redis, plan.shards)
            try:
                return {group.name: await store.dump(plan.namespace(group)) for group in plan.groups}
            finally:
                await store.close()

        return asyncio.run(dump())

    def expected(self, tiles: int, events: Sequence[Any]) -> dict[str, dict[bytes, bytes]]:
        """The states after an uninterrupted single process has seen these events."""
        found = load_pipeline(self.file(tiles))
        plan = compile_plan(found.name, found.score, found.features, found.shards)
        kinds: dict[str, list[Any]] = {}
        for event in events:
            kinds.setdefault(contract(type(event)).topic, []).append(msgspec.to_builtins(event))
        by_topic = {contract(event).topic: event for event in plan.events}
        return offline.compute(plan, [batch(by_topic[topic], rows) for topic, rows in kinds.items()]).states

    def write_history(self, events: Sequence[Any]) -> Path:
        """A folder of Parquet files with these events."""
        folder = self.folder / "history"
        folder.mkdir(exist_ok=True)
        for kind in ("sales", "refunds"):
            topic = f"{self.name}.{kind}"
            rows = [msgspec.to_builtins(event) for event in events if contract(type(event)).topic == topic]
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{topic}.parquet", row_group_size=300)
        return folder


def batch(event: type[Event], rows: list[dict[str, Any]]) -> EventBatch:
    times = np.array([row["at"] for row in rows])
    return EventBatch(
        event=event,
        source=Source(contract(event).topic, 0),
        offsets=np.arange(len(rows), dtype=np.int64),
        ingested=times,
        times=times,
        keys=[None] * len(rows),
        events=msgspec.convert(rows, list[event]),  # type: ignore[valid-type]
    )


def trade(pipeline: Pipeline, first: int, last: int) -> list[Any]:
    """Events number first to last, the same in every call: six sales and a refund, half a second apart each."""
    sale, refund = pipeline.score, next(f.event for f in pipeline.features if getattr(f, "read_by", None))  # type: ignore[union-attr]
    out = []
    for i in range(first, last):
        dice = np.random.default_rng(i)
        user, amount, at = f"u{dice.integers(40)}", round(float(dice.uniform(0, 500)), 2), START + i / 2
        if i % 7 == 6:
            out.append(refund(id=f"r{i}", buyer=user, amount=amount, at=at))
        else:
            out.append(sale(id=f"s{i}", user=None if i % 50 == 0 else user, shop=f"m{dice.integers(5)}", amount=amount, at=at))
    return out
