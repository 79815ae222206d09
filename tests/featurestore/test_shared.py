"""A shared group is read where its owner keeps it, and leaves no trace of its readers."""

import asyncio

import numpy as np
import pytest

from featurestore import offline
from featurestore.definitions import Count, Last, Mean, On, Shared
from featurestore.errors import DefinitionError
from featurestore.events import Event, EventBatch
from featurestore.memory_store import MemoryStore
from featurestore.plan import FeaturePlan, compile_plan
from featurestore.session import Session
from featurestore.store import NEVER
from tests.featurestore.world import START, Refund, Sale, batch

REFUNDED = On(Refund, by="user", fields={"amount": [Mean, Last]}, windows=["10m"], half_life="5m")
OWNER = compile_plan("owner", Refund, [REFUNDED], shards=4)
READER = compile_plan(
    "reader", Sale, [Shared(REFUNDED, pipeline="owner"), On(Sale, by="user", aggregates=[Count], windows=["10m"])], shards=4
)
REFUNDS: list[Event] = [Refund(id=str(i), user=f"u{i % 3}", shop="p", amount=float(i), at=START + i) for i in range(20)]
SALES: list[Event] = [Sale(id=str(i), user=f"u{i % 3}", shop="p", amount=1.0, at=START + 100 + i) for i in range(20)]


async def process(store: MemoryStore, plan: FeaturePlan, events: EventBatch) -> list[bytes]:
    session = Session(plan, store, events.source)
    await session.begin(None)
    view = await session.read(events)
    vectors = [row.tobytes() for row in session.serve(view).vectors]
    await session.merge(view, int(events.offsets[-1]))
    await session.settle(int(events.offsets[-1]) + 1)
    return vectors


def test_a_reader_serves_what_its_owner_keeps_and_changes_nothing_of_it() -> None:
    shared, own = READER.groups
    store = MemoryStore(4)

    async def body() -> None:
        await process(store, OWNER, batch(REFUNDS))
        before = await store.dump(READER.namespace(shared))
        vectors = await process(store, READER, batch(SALES))
        history = offline.compute(READER, [batch(REFUNDS), batch(SALES)])
        assert vectors == [row.tobytes() for row in history.served.vectors]
        assert not np.isnan(history.served.vectors).any()
        assert await store.dump(READER.namespace(shared)) == before == history.states[shared.name]
        fences, owns = await store.fences([READER.namespace(shared), READER.namespace(own)], batch(SALES).source)
        assert (fences == NEVER).all()
        assert (owns == 19).all()
        assert await Session(READER, store, batch(SALES).source).begin(20) is None  # no seek back for fences that never come

    asyncio.run(body())


def test_the_plan_of_a_reader() -> None:
    shared, own = READER.groups
    assert READER.namespace(shared) == OWNER.namespace(OWNER.groups[0])
    assert READER.namespace(own).startswith("reader.")
    assert READER.events == (Sale,)
    assert READER.history_events == (Sale, Refund)
    assert READER.written_by("refunds") == ()
    assert READER.written_by("sales") == (own,)


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        (Shared(On(Sale, by="user", aggregates=[Count], windows=["1h"]), "owner"), "fed by Sale, the event that this pipeline"),
        (Shared(REFUNDED, "reader"), "is this pipeline itself"),
        (Shared(REFUNDED, ""), "pipeline= names the pipeline that keeps it"),
        (Shared(Refund, "owner"), r"write Shared\(On\(...\), pipeline='its owner'\)"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_shared_group_is_refused(shared: Shared, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        compile_plan("reader", Sale, [shared])
