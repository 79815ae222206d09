"""What a worker says when the feature store lacks events that were committed, and while it waits for the store."""

import asyncio
import logging
from typing import Any

import pytest

from monitors.metrics import WorkerMetrics
from streams import worker
from streams.chunk import TP
from streams.errors import AssignmentTimeout, RecordsGone
from streams.records import REASONS
from streams.worker import FlowHooks, checked_start, waiting

PLACE = TP("sales", 3)


def test_how_many_records_are_merged_again_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "streams.worker"):
        assert checked_start(PLACE, 1_000, 0, 51_000) == 1_000
    assert "sales/3: the feature store lacks the 50,000 records from 1000 to the committed 51000" in caplog.text
    assert "tidegate backfill" in caplog.text


def test_records_that_kafka_lost_name_the_command_that_mends_it() -> None:
    with pytest.raises(RecordsGone, match=r"sales/3 from offset 0 .* only those from 500.*tidegate backfill"):
        checked_start(PLACE, 0, 500, 900)


class Kafka:
    """The part of the app's consumer that an assignment asks, while it answers."""

    answers = True

    @property
    def consumer(self) -> "Kafka":
        return self

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        await (asyncio.sleep(0) if self.answers else asyncio.Event().wait())
        return dict.fromkeys(tps, 10)

    earliest_offsets = highwaters


class Away:
    """A flow whose store does not answer yet."""

    def __init__(self) -> None:
        self.asked, self.there = asyncio.Event(), asyncio.Event()

    async def assign(self, tp: TP, committed: int | None, log_end: int | None) -> None:
        self.asked.set()
        await self.there.wait()


def hooks(flow: Any, kafka: Kafka) -> FlowHooks:
    made = FlowHooks(flow, WorkerMetrics("world", ["group"], REASONS), waiting(), lambda line: None)
    made.app = kafka  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("abandoned", [False, True])
def test_readyz_says_that_an_assignment_waits_for_redis(abandoned: bool) -> None:
    """And no more once Redis answers, or the partitions are others'."""

    async def whole() -> None:
        flow = Away()
        made = hooks(flow, Kafka())
        page = made._readiness.page
        assigning = asyncio.ensure_future(made.on_assigned({PLACE: 3}))
        await asyncio.wait_for(flow.asked.wait(), 5)
        assert "partitions: assigned, waiting for Redis\n" in page()
        if abandoned:
            assigning.cancel()
        flow.there.set()
        await asyncio.wait([assigning])
        assert f"partitions: {'joining the group' if abandoned else 'ok'}\n" in page()

    asyncio.run(whole())


def test_a_kafka_that_does_not_answer_an_assignment_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Kafka()
    silent.answers = False
    monkeypatch.setattr(worker, "KAFKA_SECONDS", 0.01)
    with pytest.raises(AssignmentTimeout, match="Kafka did not tell the start positions"):
        asyncio.run(hooks(Away(), silent).on_assigned({PLACE: 3}))
