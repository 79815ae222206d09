"""The driver that users test their pipelines with: it behaves as a worker on Kafka and Redis does."""

from pathlib import Path

import numpy as np
import pytest

from featurestore import offline
from featurestore.events import Floats
from featurestore.schema import FeatureSchema
from scorer.artifact import write_artifact
from scorer.training import train
from streams.errors import DriverError
from streams.testing import TestDriver, feature_names
from tests.featurestore.world import PLAN, START, Refund, Sale, batch
from tests.scorer.rows import HOUR, SHOPS, SMALL, rows
from tests.streams.test_flow import PIPELINE, sales

AMOUNT = feature_names(PIPELINE).index("amount")


def by_amount(vectors: Floats) -> Floats:
    return vectors[:, AMOUNT] / 10_000


def test_events_become_predictions_and_features() -> None:
    with TestDriver(PIPELINE, by_amount) as driver:
        driver.send(*sales(7))
        found = driver.predictions()
        assert [p.event_id for p in found] == [f"s{i}" for i in range(7)]
        assert [p.score for p in found] == [i / 100 for i in range(7)]
        assert {p.model for p in found} == {PIPELINE.model}
        assert driver.features_of("s5")["sale_by_user.count.10m"] == 1.0  # user u0 again, whose first was s0
        assert driver.features_of(sales(7)[6])["amount"] == 600.0
        assert driver.metric("tidegate_events_total", outcome="scored") == 7


def test_vectors_are_those_that_training_sees() -> None:
    events = sales(200)
    with TestDriver(PIPELINE, max_chunk_events=30) as driver:
        driver.send(*events[:50])
        driver.send(*events[50:])
        served = np.array([list(row.values()) for row in driver.features().values()])
    assert served.tobytes() == offline.compute(PLAN, [batch(events)]).served.vectors.tobytes()


def test_without_a_model_nothing_is_predicted() -> None:
    with TestDriver(PIPELINE) as driver:
        driver.send(*sales(3))
        assert driver.predictions() == []
        assert len(driver.features()) == 3


def test_another_topic_feeds_the_features() -> None:
    with TestDriver(PIPELINE) as driver:
        driver.send(
            Refund(id="r", user="u0", shop="p0", amount=5.0, at=START),
            Sale(id="s", user="u0", shop="p0", amount=1.0, at=START + 1),
        )
        assert driver.features_of("s")["refund_by_user.amount.sum.1h"] == pytest.approx(5.0)


def test_what_producers_get_wrong_can_be_sent() -> None:
    sound = {"id": "ok", "user": "u", "shop": "p", "amount": 3.0, "at": START}
    with TestDriver(PIPELINE, by_amount) as driver:
        driver.send(sound, sound | {"id": "bad", "amount": -3}, b"{nonsense", None)
        driver.send(sound | {"id": "early"}, at=START - 10_000)
        assert [p.event_id for p in driver.predictions()] == ["ok"]
        letters = driver.dead_letters()
        assert [letter.reason for letter in letters] == ["contract", "malformed", "empty", "future"]
        assert letters[0].field == "$.amount"
        with pytest.raises(DriverError, match="dead_letters"):
            driver.features_of("bad")
        with pytest.raises(DriverError, match="does not read 'elsewhere'; it reads sales, refunds"):
            driver.send(b"x", topic="elsewhere")


def test_partitions_follow_from_the_key_as_with_kafka_producers() -> None:
    with TestDriver(PIPELINE, by_amount, partitions=4) as driver:
        driver.send(*sales(20))
        places = {(p.key, p.prediction_id.split("-")[1]) for p in driver.predictions()}
        assert len(places) == 5
        assert len({partition for _, partition in places}) > 1
        driver.send(Sale(id="there", user="u1", shop="p", amount=1.0, at=START + 100), partition=3)
        assert driver.predictions()[-1].prediction_id.startswith("sales-3-")


@pytest.mark.parametrize("crash", ["published", "merged"])
def test_a_crash_repeats_at_most_predictions_and_never_counts_twice(crash: str) -> None:
    with TestDriver(PIPELINE, by_amount) as driver:
        driver.send(*sales(3))
        driver.send(*sales(6)[3:], crash=crash)  # type: ignore[arg-type]
        driver.send(*sales(10)[6:])
        assert len(driver.predictions()) == 6
        driver.restart()
        assert [p.event_id for p in driver.predictions()] == [f"s{i}" for i in range(10)]
        assert len(driver.predictions(repeated=True)) == (13 if crash == "published" else 10)
        driver.send(Sale(id="last", user="u0", shop="p0", amount=1.0, at=START + 20))
        assert driver.features_of("last")["sale_by_user.count.10m"] == 2.0


def test_a_restart_goes_on_where_the_last_worker_committed() -> None:
    with TestDriver(PIPELINE, by_amount) as driver:
        driver.send(*sales(5))
        driver.restart()
        driver.send(*sales(6)[5:])
        assert len(driver.predictions(repeated=True)) == 6
        assert driver.features_of("s5")["sale_by_user.count.10m"] == 1.0


def test_headers_and_clock_are_the_tests_own() -> None:
    trace = "a" * 32
    with TestDriver(PIPELINE, by_amount) as driver:
        driver.send(sales(1)[0], at=START + 7, headers={"traceparent": f"00-{trace}-{'b' * 16}-01".encode()})
        (found,) = driver.predictions()
        assert (found.ingest_time, found.scored_time, found.trace_id) == (START + 7, START + 7, trace)


def test_a_trained_version_scores_from_its_folder_and_as_a_model(tmp_path: Path) -> None:
    """Its features are some of the pipeline's, in another order."""
    names = {"amount": "amount", "shop": "shop", "sale_by_user.amount.mean.1m": "mean", "sale_by_user.count.1m": "count"}
    schema = FeatureSchema(tuple(PLAN.schema.columns[PLAN.schema.names.index(name)] for name in names))
    made = rows()
    trained = train(
        made.matrix, made.labels, made.times, schema, task="binary", seed=3, gap_seconds=HOUR, params=SMALL, rounds_max=5,
        texts={"shop": SHOPS},
    )  # fmt: skip
    facts = trained.facts(pipeline="world", model_name="fraud", owner="risk", created=1.0, threshold=0.1)
    write_artifact(tmp_path / "version", trained.model, trained.golden, facts, trained.extra)
    scores = []
    for model in (tmp_path / "version", trained.model):
        with TestDriver(PIPELINE, model) as driver:
            driver.send(*sales(20))
            scores.append([p.score for p in driver.predictions()])
            vectors = [[row[name] for name in names] for row in driver.features().values()]
    assert scores[0] == scores[1] == trained.model.score(np.array(vectors)).tolist()
