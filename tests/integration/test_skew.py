"""`tidegate skew` on real topics: no mismatch where a worker met events in order, and each fault named by its feature."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from featurestore import offline
from monitors.monitor_metrics import MonitorMetrics
from streams.errors import SkewUnknown
from streams.history import read_kafka
from streams.monitor.comparing import Comparing
from streams.monitor.records import FeatureSkew, SkewReport, decode_drift, drift_topic
from streams.monitor.skew import Question, measure
from streams.monitor.skew_process import run_skew
from streams.publisher import MemoryPublisher
from streams.vectors import VectorEncoder, VectorRows
from tests.integration.shop import TILES, Shop, trade

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SECONDS = 900.0  # of 2,000 events half a second apart
USERS, PAIRS, REFUNDS = "sale_by_user", "sale_by_user_shop", "refund_by_buyer"


def compared(shop: Shop, tiles: int = TILES) -> SkewReport:
    return asyncio.run(measure(Question(shop.kafka, shop.pipeline(tiles), shop.plan(tiles), SECONDS, 0.5)))


def by_name(report: SkewReport) -> dict[str, FeatureSkew]:
    return {one.feature: one for one in report.features}


def test_a_worker_that_meets_events_in_order_serves_what_training_computes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    events = trade(shop.pipeline(TILES), 0, 2_000)
    refunds = [msgspec.structs.replace(one, at=one.at - 1_000) for one in events if hasattr(one, "buyer")]  # before every sale
    shop.send(refunds)
    shop.start_worker(TILES)
    shop.wait_until_committed(60)
    shop.send([one for one in events if hasattr(one, "shop")])
    shop.wait_until_committed(60)
    report = compared(shop)
    assert report.events > 1_000
    assert [one for one in report.features if (one.mismatches, one.differing, one.why) != (0, 0, None)] == []
    assert 0 < by_name(report)[f"{PAIRS}.amount.max.5m"].compared < report.events  # of 200 pairs some are taken, users all

    shop.send(trade(shop.pipeline(TILES), 2_000, 2_400))  # two topics at once, 200 seconds of events within one
    shop.wait_until_committed(60)
    arrived = compared(shop)
    assert [one for one in arrived.features if one.mismatches] == []
    assert {one.feature for one in arrived.features if one.by_order} <= {f"{REFUNDS}.count.10m", f"{REFUNDS}.amount.mean.10m"}

    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    metrics, publisher = MonitorMetrics("shop", []), MemoryPublisher()
    asyncio.run(Comparing(shop.file(TILES), shop.name, 900, 0.5, publisher, metrics, lambda: True).compare())
    (published,) = map(decode_drift, publisher.values(drift_topic(shop.name)))
    assert isinstance(published, SkewReport)
    assert published.events == arrived.events
    labels = {"pipeline": "shop", "feature": f"{PAIRS}.amount.max.5m"}
    assert metrics.registry.get_sample_value("tidegate_skew_ratio", labels) == 0.0
    assert metrics.registry.get_sample_value("tidegate_skew_runs_total", {"pipeline": "shop", "result": "compared"}) == 1
    changed = asyncio.run(run_skew(shop.file(5), "15m", 0.5, 60))
    assert changed is not None
    wrong = {one.feature for one in changed.features if one.mismatches}
    assert wrong == {name for name in by_name(changed) if name.startswith((f"{USERS}.", f"{PAIRS}."))}


class ServedShop:
    """A shop whose events are in Kafka, with vectors as training computes them, to be published as a worker would."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.plan = shop, shop.plan(TILES)
        shop.send(trade(shop.pipeline(TILES), 0, 2_000))
        batches = asyncio.run(read_kafka(shop.kafka, self.plan.history_events, 0.0, np.inf, 300.0)).batches
        history = offline.compute(self.plan, batches)
        self.events = history.events
        scored = [batch for batch in batches if batch.event is self.plan.scored]
        order = offline.reference_order(scored)
        self.rows = VectorRows(
            prediction_ids=[event.id for event in history.events],
            event_ids=[event.id for event in history.events],
            times=history.times,
            served=history.served,
            partitions=np.concatenate([batch.partitions for batch in scored])[order],
            offsets=np.concatenate([batch.offsets for batch in scored])[order],
        )
        topic = f"{shop.name}.features"
        shop.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)

    def publish(self, rows: VectorRows, plan: Any = None) -> None:
        producer = Producer({"bootstrap.servers": self.shop.kafka})
        for value in VectorEncoder(plan or self.plan).encode(rows):
            producer.produce(f"{self.shop.name}.features", value)
        assert producer.flush(30) == 0

    def of_somebody(self, rows: slice) -> int:
        """How many of them have a user: an event without any is nobody's, and not sampled."""
        return sum(event.user is not None for event in self.events[rows])

    def altered(self, feature: str, row: int, value: float) -> None:
        self.rows.served.vectors[row, self.plan.schema.names.index(feature)] = value

    def part(self, rows: slice) -> VectorRows:
        chosen = np.arange(len(self.rows.times))[rows]
        return replace(
            self.rows,
            prediction_ids=self.rows.prediction_ids[rows],
            event_ids=self.rows.event_ids[rows],
            times=self.rows.times[rows],
            served=self.rows.served.take(chosen),
            partitions=self.rows.partitions[rows],
            offsets=self.rows.offsets[rows],
        )


def test_each_altered_value_is_found_and_named_and_what_cannot_be_compared_is_told(shop: Shop) -> None:
    with pytest.raises(SkewUnknown, match="holds no vectors"):
        compared(shop)
    served = ServedShop(shop)
    known = int(np.flatnonzero(~np.isnan(served.rows.served.vectors[:-200]).any(axis=1))[-1])
    served.altered("amount", known, 1e6)
    served.altered(f"{USERS}.amount.mean.10m", known, np.nan)
    last_bit = served.plan.schema.names.index(f"{USERS}.amount.sum.10m")
    served.altered(f"{USERS}.amount.sum.10m", known, float(np.nextafter(served.rows.served.vectors[known, last_bit], np.inf)))
    served.publish(served.part(slice(None, -200)))
    served.altered("amount", known - 1, 1e6)
    served.publish(served.part(slice(None, -200)))  # again, as after a crash: the first counts
    other = replace(served.plan, schema=replace(served.plan.schema, columns=served.plan.schema.columns[::-1]))
    served.publish(served.part(slice(-200, -100)), other)
    served.publish(replace(served.part(slice(-100, None)), degraded=True))
    report = compared(shop)
    found = by_name(report)
    assert {name: one.mismatches for name, one in found.items() if one.mismatches} == {"amount": 1, f"{USERS}.amount.mean.10m": 1}
    assert {name: one.differing for name, one in found.items() if one.differing > one.mismatches} == {
        f"{USERS}.amount.sum.10m": 1
    }
    left_out = {
        "served with other features": served.of_somebody(slice(-200, -100)),
        "served without Redis": served.of_somebody(slice(-100, None)),
    }
    assert report.left_out == left_out
    assert decode_drift(msgspec.json.encode(report)) == report

    refunds = next(tp for tp in shop.tps() if tp.topic.endswith(".refunds"))
    shop.delete_records(refunds, 1)
    told = shop.call("skew", shop.file(TILES), "--last", "15m", "--share", "0.5")
    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    gone = f"{REFUNDS}.count.10m, {REFUNDS}.amount.mean.10m: Kafka no longer holds the 1050s of {shop.name}.refunds"
    assert f"not compared: {gone} before the stretch" in lines, told.output
    assert f"amount {report.events:,} 1 {1 / report.events:.2%} 0 1" in lines
    assert f"left out: {left_out['served without Redis']} vectors served without Redis" in lines


def test_a_comparison_that_fails_or_takes_too_long_raises_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    assert asyncio.run(run_skew(str(shop.folder / "nowhere.py"))) is None
    assert "there is no file" in caplog.text
    assert asyncio.run(run_skew(shop.file(TILES), timeout_seconds=0.05)) is None
    assert "given up" in caplog.text
