"""What every Store must do: equal bytes for any split, any interleaving of writers."""

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore import offline
from featurestore.events import Event, EventBatch, Source, joined
from featurestore.session import Joint, Session
from featurestore.store import Store
from tests.featurestore.stores import SPACE, Run, dumps, process
from tests.featurestore.world import PLAN, REFUNDS, SALES, START, Refund, Sale, batch, split


def by_hypothesis(examples: int) -> Any:
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@by_hypothesis(25)
@given(st.lists(SALES, min_size=1, max_size=40), st.lists(REFUNDS, max_size=20), st.lists(st.integers(0, 100), max_size=5))
def test_any_split_into_chunks_ends_in_the_offline_states(
    run: Run, sales: list[Event], refunds: list[Event], cuts: list[int]
) -> None:
    async def body(store: Store) -> None:
        await process(store, split(sales, cuts))
        if refunds:
            await process(store, split(refunds, cuts))
        batches = [batch(sales)] + ([batch(refunds)] if refunds else [])
        assert await dumps(store) == offline.compute(PLAN, batches).states

    run(body)


@by_hypothesis(25)
@given(st.lists(SALES, min_size=1, max_size=40), st.lists(st.integers(0, 100), max_size=5))
def test_vectors_in_reference_order_equal_the_offline_ones(run: Run, sales: list[Sale], cuts: list[int]) -> None:
    """Fed one recorded order, in whatever chunks, a worker serves bit-equal vectors."""
    ordered = sorted(sales, key=lambda sale: sale.at)
    history = offline.compute(PLAN, [batch(ordered)])

    async def body(store: Store) -> None:
        assert await process(store, split(ordered, cuts)) == [row.tobytes() for row in history.served.vectors]

    run(body)


@by_hypothesis(25)
@given(st.lists(SALES, min_size=2, max_size=40), st.lists(SALES, min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_any_interleaving_of_two_writers_ends_in_the_same_states(
    run: Run, left: list[Event], right: list[Event], dice: random.Random
) -> None:
    """Two partitions with the same entities, their reads and merges interleaved at random."""

    async def body(store: Store) -> None:
        waiting = [
            walk(store, split(left, [dice.randrange(99) for _ in range(3)], 0)),
            walk(store, split(right, [dice.randrange(99) for _ in range(3)], 1)),
        ]
        while waiting:
            chosen = dice.choice(waiting)
            try:
                await anext(chosen)
            except StopAsyncIteration:
                waiting.remove(chosen)
        assert await dumps(store) == offline.compute(PLAN, [batch(left, 0), batch(right, 1)]).states

    run(body)


async def walk(store: Store, chunks: list[EventBatch]) -> Any:
    """`process`, pausing between reads and merges."""
    session = Session(PLAN, store, chunks[0].source)
    await session.begin(None)
    for chunk in chunks:
        view = await session.read(chunk)
        yield
        await session.merge(view, int(chunk.offsets[-1]))
        yield


@by_hypothesis(25)
@given(st.lists(st.lists(SALES, min_size=1, max_size=20), min_size=3, max_size=3), st.randoms(use_true_random=False))
def test_partitions_merged_together_end_in_the_same_states(run: Run, sales: list[list[Event]], dice: random.Random) -> None:
    """Chunks of any of three partitions at once, beside another worker that goes on with one of them: zombies, both."""
    expected = offline.compute(PLAN, [batch(events, partition) for partition, events in enumerate(sales)]).states

    async def body(store: Store) -> None:
        walks = [walk_together(store, sales, dice, {0, 1, 2}), walk_together(store, sales, dice, {1})]
        while walks:
            chosen = dice.choice(walks)
            try:
                await anext(chosen)
            except StopAsyncIteration:
                walks.remove(chosen)
        assert await dumps(store) == expected

    run(body)


async def walk_together(store: Store, sales: list[list[Event]], dice: random.Random, partitions: set[int]) -> Any:
    """Some partitions' whole protocol, several at once, pausing between reads and merges."""
    sessions = {partition: Session(PLAN, store, Source("sales", partition)) for partition in partitions}
    waiting = {partition: (await session.begin(None)) or 0 for partition, session in sessions.items()}
    while waiting:
        chosen = dice.sample(sorted(waiting), dice.randint(1, len(waiting)))
        ends = {p: dice.randint(waiting[p] + 1, len(sales[p])) for p in chosen}
        chunk = joined([batch(sales[p][waiting[p] : ends[p]], p, waiting[p]) for p in chosen])
        together = Joint([sessions[p] for p in chosen])
        view = await together.read(chunk)
        assert len(together.serve(view).vectors) == len(chunk)
        yield
        await together.merge(view, [ends[p] - 1 for p in chosen])
        yield
        waiting = {p: end for p in waiting if (end := ends.get(p, waiting[p])) < len(sales[p])}


def test_many_entities_in_one_merge(run: Run) -> None:
    """More keys than one Lua call can unpack at once."""

    async def body(store: Store) -> None:
        sales: list[Event] = [Sale(id=str(i), user=f"u{i}", shop="baker", amount=1.0, at=1_000.0 + i) for i in range(12_000)]
        await process(store, [batch(sales)])
        assert len(await store.dump(SPACE)) == 12_000
        assert await dumps(store) == offline.compute(PLAN, [batch(sales)]).states

    run(body)


def test_of_events_of_one_time_the_last_by_position_wins(run: Run) -> None:
    """Higher partition, then higher offset, whichever was merged first; a null never wins."""

    def refund(amount: float | None) -> Refund:
        return Refund(id="1", user="ann", shop="baker", amount=amount, at=START)

    low, high = batch([refund(1.0), refund(2.0), refund(None)], 0, 50), batch([refund(4.0), refund(3.0), refund(None)], 1)
    sale = batch([Sale(id="1", user="ann", shop="baker", amount=5.0, at=START)])
    column = PLAN.schema.names.index("newest.amount.last.5m")

    async def body(store: Store) -> list[float]:
        values = []
        for chunk in order:
            await process(store, [chunk])
            session = Session(PLAN, store, sale.source)
            await session.begin(None)
            values.append(session.serve(await session.read(sale)).vectors[0, column])
        assert (await dumps(store))["newest"] == offline.compute(PLAN, [low, high]).states["newest"]
        return values

    order = [low, high]
    assert run(body) == [2.0, 3.0]
    order = [high, low]
    assert run(body) == [3.0, 3.0]
