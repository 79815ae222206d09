"""The flow in memory: chunks in, predictions, vectors, dead letters and states out."""

import asyncio
from typing import Any

import msgspec
import numpy as np
import pytest

from featurestore import offline
from featurestore.events import Floats
from featurestore.memory_store import MemoryStore
from featurestore.schema import FeatureSchema
from monitors.metrics import WorkerMetrics
from scorer.artifact import Facts, LoadedVersion, Manifest
from scorer.pipeline import Label, Pipeline
from streams.chunk import TP, Chunk
from streams.errors import PublishError
from streams.flow import Flow
from streams.publisher import MemoryPublisher, Outgoing
from streams.records import REASONS, DeadLetter, Prediction
from streams.serving import ServingModel, decide
from streams.vectors import decode_vectors
from tests.featurestore.world import FEATURES, PLAN, START, Refund, Sale, batch
from tests.streams.records import RawRecord, chunk, event_chunk

PIPELINE = Pipeline(
    name="world",
    owner="o",
    team="t",
    task="binary",
    score=Sale,
    features=FEATURES,
    label=Label(Refund, id="id", value=lambda refund: True, maturity="1h"),
    model="world",
    shards=4,
)


class AmountModel:
    """Scores by one feature, so that a score tells which vector it saw."""

    kind, task, threads = "test", "binary", 1
    schema: FeatureSchema = PLAN.schema

    def score(self, matrix: Floats) -> Floats:
        return np.asarray(matrix[:, self.schema.names.index("amount")] / 10_000)

    def files(self) -> dict[str, bytes]:
        return {}


def serving() -> ServingModel:
    facts = Facts(pipeline="world", model_name="world", owner="o", created=1.0, threshold=0.25)
    manifest = Manifest(
        kind="test", task="binary", schema=PLAN.schema, fingerprint=PLAN.schema.fingerprint, facts=facts, libraries={}, files={}
    )
    return ServingModel(7, LoadedVersion(manifest, AmountModel(), "hash", None))


class World:
    """A flow over memory, with its partitions assigned."""

    def __init__(self, model: ServingModel | None = None) -> None:
        self.store, self.publisher = MemoryStore(PLAN.shards), MemoryPublisher()
        self.metrics = WorkerMetrics("world", [group.name for group in PLAN.groups], REASONS)
        self.flow = Flow(PIPELINE, PLAN, self.store, self.publisher, self.metrics, model, "abc", clock=lambda: START + 5)

    async def feed(self, *chunks: Chunk) -> None:
        for one in chunks:
            if one.tp not in self.flow._sessions:
                await self.flow.assign(one.tp, None, None)
            await self.flow(one)
            await self.flow.settle({one.tp: one.last_offset + 1})

    def run(self, *chunks: Chunk) -> None:
        asyncio.run(self.feed(*chunks))

    def predictions(self) -> list[Prediction]:
        return [msgspec.json.decode(value, type=Prediction) for value in self.publisher.values("world.predictions")]

    def letters(self) -> list[DeadLetter]:
        return [msgspec.json.decode(value, type=DeadLetter) for value in self.publisher.values("world.dead-letters")]

    def vectors(self) -> dict[str, bytes]:
        out = {}
        for value in self.publisher.values("world.features"):
            table = decode_vectors(value)
            for id, vector in zip(table["prediction_id"].to_pylist(), table["vector"], strict=True):
                out[id] = np.array(vector.values.to_numpy(zero_copy_only=False)).tobytes()
        return out

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"pipeline": "world", **labels}) or 0.0


def sales(n: int, first: float = 0.0) -> list[Sale]:
    return [
        Sale(id=f"s{i}", user=f"u{i % 5}", shop=f"p{i % 3}", amount=float(100 * i % 9_000), at=START + first + i)
        for i in range(n)
    ]


def test_every_event_is_predicted_with_its_position_and_model() -> None:
    world = World(serving())
    world.run(event_chunk(sales(50), partition=3, first=10))
    found = world.predictions()
    assert [p.prediction_id for p in found] == [f"sales-3-{offset}" for offset in range(10, 60)]
    assert [p.event_id for p in found] == [f"s{i}" for i in range(50)]
    first = found[4]
    assert (first.model, first.model_version, first.variant, first.build) == ("world", 7, "champion", "abc")
    assert (first.key, first.score, first.decision, first.threshold, first.confidence) == ("u4", 0.04, False, 0.25, 0.96)
    assert [p.decision for p in found] == [p.score >= 0.25 for p in found]
    assert first.scored_time == START + 5


def test_predictions_are_keyed_as_their_source() -> None:
    world = World(serving())
    world.run(event_chunk(sales(3)))
    keys = [key for topic, key, _ in world.publisher.records if topic == "world.predictions"]
    assert keys == [b"u0", b"u1", b"u2"]


def test_served_vectors_are_logged_and_equal_the_offline_ones_in_reference_order() -> None:
    world, events = World(serving()), sales(60)
    world.run(event_chunk(events[:7]), event_chunk(events[7:30], first=7), event_chunk(events[30:], first=30))
    expected = offline.compute(PLAN, [batch(events)]).served.vectors
    assert list(world.vectors().values()) == [row.tobytes() for row in expected]


def test_a_broken_record_becomes_a_dead_letter_and_the_rest_goes_on() -> None:
    world, good = World(serving()), event_chunk(sales(2)).records
    broken = RawRecord(b"{broken", 1, b"k")
    world.run(Chunk("sales", 0, [good[0], broken, RawRecord(good[1].value, 2, good[1].key, good[1].timestamp)]))
    (letter,) = world.letters()
    assert (letter.reason, letter.topic, letter.partition, letter.offset) == ("malformed", "sales", 0, 1)
    assert (letter.dead_letter_id, letter.payload) == ("sales-0-1", b"{broken")
    assert [p.prediction_id for p in world.predictions()] == ["sales-0-0", "sales-0-2"]
    assert world.value("tidegate_dead_letters_total", reason="malformed") == 1
    assert world.value("tidegate_events_total", outcome="rejected") == 1
    assert world.value("tidegate_events_total", outcome="scored") == 2


def test_a_chunk_of_rejects_alone_still_moves_on() -> None:
    world = World(serving())
    world.run(chunk([b"x", b"y"]))
    assert [letter.offset for letter in world.letters()] == [0, 1]
    fences = asyncio.run(world.store.fences([PLAN.namespace(PLAN.groups[0])], batch(sales(1)).source))
    assert (fences[0] == 1).all()


def test_a_feed_is_merged_and_not_predicted() -> None:
    world = World(serving())
    world.run(event_chunk([Refund(id="r", user="u0", shop="p0", amount=5.0, at=START)]))
    assert world.predictions() == []
    assert world.value("tidegate_feed_last_merge_timestamp_seconds", group="refund_by_user") == START + 5


def test_without_a_model_vectors_are_logged_and_features_kept() -> None:
    world = World(None)
    world.run(event_chunk(sales(5)))
    assert world.predictions() == []
    assert len(world.vectors()) == 5
    assert asyncio.run(world.store.dump(PLAN.namespace(PLAN.groups[0])))


def test_nothing_is_merged_before_the_broker_has_acknowledged() -> None:
    world = World(serving())

    class Refusing(MemoryPublisher):
        async def publish(self, batches: Any) -> None:
            raise PublishError("world.predictions", "no")

    world.flow._publisher = Refusing()
    with pytest.raises(PublishError):
        world.run(event_chunk(sales(5)))
    assert asyncio.run(world.store.dump(PLAN.namespace(PLAN.groups[0]))) == {}


def test_events_below_the_fence_are_neither_scored_nor_counted_again() -> None:
    """A crash between merge and commit: the next owner gets the same records once more."""
    events = sales(20)
    world = World(serving())
    world.run(event_chunk(events[:12]))
    before = len(world.publisher.records)

    async def again() -> None:
        world.flow.revoke([TP("sales", 0)])
        await world.flow.assign(TP("sales", 0), None, None)
        await world.flow(event_chunk(events))

    asyncio.run(again())
    ids = [p.prediction_id for p in world.predictions()]
    assert ids == [f"sales-0-{i}" for i in range(20)]
    assert len(world.publisher.records) > before
    for group in PLAN.written_by("sales"):
        assert asyncio.run(world.store.dump(PLAN.namespace(group))) == offline.compute(PLAN, [batch(events)]).states[group.name]


def test_traces_are_carried_by_hand() -> None:
    world, (record,) = World(serving()), event_chunk(sales(1)).records
    traced = RawRecord(
        record.value, 0, record.key, record.timestamp, 1, [("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")]
    )
    world.run(Chunk("sales", 0, [traced]))
    assert world.predictions()[0].trace_id == "a" * 32


@pytest.mark.parametrize("value", [None, b"", b"nonsense", b"\xff", b"00-a-b-c"])
def test_a_broken_trace_header_is_ignored(value: bytes | None) -> None:
    world, (record,) = World(serving()), event_chunk(sales(1)).records
    world.run(Chunk("sales", 0, [RawRecord(record.value, 0, record.key, record.timestamp, 1, [("traceparent", value)])]))
    assert world.predictions()[0].trace_id is None


def test_flags_say_what_a_vector_lacked() -> None:
    world = World(serving())
    world.run(event_chunk([Sale(id="1", user=None, shop="p0", amount=1.0, at=START)]))
    assert world.predictions()[0].flags == ["missing"]


@pytest.mark.parametrize(
    ("task", "scores", "expected"),
    [
        ("binary", [0.2, 0.9], ([0.2, 0.9], [False, True], [0.8, 0.9])),
        ("regression", [3.5, -1.0], ([3.5, -1.0], [None, None], [None, None])),
        ("multiclass", [[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]], ([0.7, 0.6], [1, 0], [0.7, 0.6])),
    ],
)
def test_verdicts_of_each_task(task: Any, scores: Any, expected: Any) -> None:
    found = decide(task, np.array(scores), 0.5)
    assert (found.scores, found.decisions, found.confidences) == expected


def test_outgoing_runs_in_parallel() -> None:
    with pytest.raises(ValueError, match="zip"):
        asyncio.run(MemoryPublisher().publish([Outgoing("t", [None], [])]))
