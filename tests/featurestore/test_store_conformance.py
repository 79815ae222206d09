"""What every Store must do: equal bytes for any split, any interleaving of writers, and compare-and-set on fences."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurestore import offline
from featurestore.compute import accumulated, group_chunk
from featurestore.entities import NO_ENTITIES
from featurestore.events import Event, EventBatch, Ints, Source, joined
from featurestore.memory_store import MemoryStore
from featurestore.redis_store import RedisStore
from featurestore.session import Joint, Session
from featurestore.store import NEVER, UNREAD, Merge, Read, Store
from streams.embedded.cluster import EmbeddedCluster
from tests.featurestore.world import PLAN, REFUNDS, SALES, START, Refund, Sale, batch, split

Run = Callable[[Callable[[Store], Awaitable[Any]]], Any]
SOURCE = Source("sales", 0)
GROUP = PLAN.groups[0]
SPACE = PLAN.namespace(GROUP)


REDISES = {"valkey": "redis_url", "redis": "debians_redis_url", "cluster": "cluster"}  # and the fixture that has it


@pytest.fixture
def dropped() -> list[tuple[str, int]]:
    """What the store under test said of events that came too late: groups and numbers."""
    return []


@pytest.fixture(params=["memory", *(pytest.param(name, marks=pytest.mark.integration) for name in REDISES)])
def run(request: pytest.FixtureRequest, dropped: list[tuple[str, int]]) -> Run:
    """Runs a coroutine function on an empty store of each kind."""
    server = request.getfixturevalue(REDISES[request.param]) if request.param in REDISES else None

    def runner(body: Callable[[Store], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            def on_dropped(group: str, events: int) -> None:
                dropped.append((group, events))

            store: Store = MemoryStore(PLAN.shards, on_dropped)
            if server:
                store = RedisStore(emptied(server), PLAN.shards, on_dropped=on_dropped)
            try:
                return await body(store)
            finally:
                await store.close()

        return asyncio.run(main())

    return runner


def emptied(server: str | EmbeddedCluster) -> str:
    """The URL of a Redis, or of a cluster, that holds nothing now."""
    urls = [server] if isinstance(server, str) else [node.url for node in server.primaries]
    for url in urls:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    return urls[0]


async def process(store: Store, chunks: list[EventBatch]) -> list[bytes]:
    """The whole protocol over chunks of one partition, in order; the vectors served."""
    session = Session(PLAN, store, chunks[0].source)
    await session.begin(None)
    vectors = []
    for chunk in chunks:
        view = await session.read(chunk)
        if chunk.event is Sale:
            vectors += [row.tobytes() for row in session.serve(view).vectors]
        await session.merge(view, int(chunk.offsets[-1]))
        await session.settle(int(chunk.offsets[-1]) + 1)
    return vectors


async def dumps(store: Store) -> dict[str, dict[bytes, bytes]]:
    return {group.name: await store.dump(PLAN.namespace(group)) for group in PLAN.groups}


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


def one_merge(sales: list[Event], expected: int, new: int) -> Merge:
    events = batch(sales)
    chunk = group_chunk(PLAN, GROUP, events)
    shards = np.unique(chunk.entities.shards).tolist()
    everything = np.ones(len(events), dtype=np.bool_)
    added, dropped = accumulated(chunk, events.times, everything)
    return Merge(SPACE, GROUP, chunk.entities, added, shards, fences([expected], shards), fences([new], shards), dropped)


def fences(values: Sequence[int], shards: Sequence[int]) -> Ints:
    """Of each source the same value in these shards, UNREAD in the others."""
    out = np.full((len(values), PLAN.shards), UNREAD, dtype=np.int64)
    out[:, shards] = np.array(values)[:, None]
    return out


SALE = Sale(id="1", user="ann", shop="baker", amount=5.0, at=1_000.0)


def test_a_merge_with_another_fence_changes_nothing(run: Run) -> None:
    async def body(store: Store) -> None:
        merge = one_merge([SALE], NEVER, 7)
        (first,) = await store.merge([SOURCE], [merge])
        before = await store.dump(SPACE)
        (second,) = await store.merge([SOURCE], [merge])
        shard = merge.shards[0]
        assert (first[0, shard], second[0, shard]) == (NEVER, 7)
        assert await store.dump(SPACE) == before
        (found,) = await store.fences([SPACE], SOURCE)
        assert found[shard] == 7
        assert (np.delete(found, shard) == NEVER).all()

    run(body)


def test_one_source_with_another_fence_holds_up_the_shard_for_all(run: Run) -> None:
    async def body(store: Store) -> None:
        merge = one_merge([SALE], NEVER, 7)
        sources, shard = [SOURCE, Source("sales", 1)], merge.shards[0]
        two = replace(merge, expected=fences([NEVER, 3], [shard]), new=fences([7, 8], [shard]))
        (found,) = await store.merge(sources, [two])
        assert found[:, shard].tolist() == [NEVER, NEVER]
        assert (np.delete(found, shard, axis=1) == UNREAD).all()
        assert await store.dump(SPACE) == {}
        (found,) = await store.merge(sources, [replace(two, expected=fences([NEVER, NEVER], [shard]))])
        assert found[:, shard].tolist() == [NEVER, NEVER]
        assert list(await store.dump(SPACE)) == [b"ann"]
        (reply,) = await store.read(sources, [Read(SPACE, GROUP, merge.entities, fences([1, 1], [shard]) == 1)])
        assert reply.fences[:, shard].tolist() == [7, 8]
        assert (np.delete(reply.fences, shard, axis=1) == UNREAD).all()

    run(body)


def test_a_source_that_adds_nothing_to_a_shard_keeps_its_fence(run: Run) -> None:
    """Nor is it looked at: another worker may go on with it meanwhile."""

    async def body(store: Store) -> None:
        merge = one_merge([SALE], NEVER, 7)
        sources, shard = [Source("sales", 1), SOURCE, Source("sales", 2)], merge.shards[0]
        alone = replace(
            merge,
            expected=np.vstack([fences([UNREAD], []), merge.expected, fences([UNREAD], [])]),
            new=np.vstack([fences([UNREAD], []), merge.new, fences([UNREAD], [])]),
        )
        (found,) = await store.merge(sources, [alone])
        assert found[:, shard].tolist() == [UNREAD, NEVER, UNREAD]
        assert [int((await store.fences([SPACE], source))[0][shard]) for source in sources] == [NEVER, 7, NEVER]
        (reply,) = await store.read(sources, [Read(SPACE, GROUP, merge.entities, alone.expected != UNREAD)])
        assert reply.fences[:, shard].tolist() == [UNREAD, 7, UNREAD]
        assert list(await store.dump(SPACE)) == [b"ann"]

    run(body)


def test_fences_of_two_sources_and_namespaces_are_apart(run: Run) -> None:
    async def body(store: Store) -> None:
        await store.merge([SOURCE], [one_merge([SALE], NEVER, 7)])
        other, elsewhere = await store.fences([SPACE, "elsewhere"], Source("sales", 1))
        assert (other == NEVER).all()
        assert (elsewhere == NEVER).all()

    run(body)


def test_a_read_gives_states_and_the_fences_of_the_touched_shards_only(run: Run) -> None:
    async def body(store: Store) -> None:
        merge = one_merge([SALE], NEVER, 7)
        await store.merge([SOURCE], [merge])
        shard = merge.shards[0]
        (reply,) = await store.read([SOURCE], [Read(SPACE, GROUP, merge.entities, fences([1], [shard]) == 1)])
        assert reply.fences[0, shard] == 7
        assert (np.delete(reply.fences[0], shard) == UNREAD).all()
        assert reply.states[0].tobytes() == (await store.dump(SPACE))[b"ann"]
        reply.states[0, 1] = 0.0  # writable

    run(body)


def test_many_entities_in_one_merge(run: Run) -> None:
    """More keys than one Lua call can unpack at once."""

    async def body(store: Store) -> None:
        sales: list[Event] = [Sale(id=str(i), user=f"u{i}", shop="baker", amount=1.0, at=1_000.0 + i) for i in range(12_000)]
        await process(store, [batch(sales)])
        assert len(await store.dump(SPACE)) == 12_000
        assert await dumps(store) == offline.compute(PLAN, [batch(sales)]).states

    run(body)


def test_events_that_no_window_keeps_a_tile_for_are_counted(run: Run, dropped: list[tuple[str, int]]) -> None:
    """Windows of 1 and 10 minutes, two tiles of lateness: 75 s back is too late for the first, 750 s for both."""

    async def body(store: Store) -> None:
        def sale(at: float) -> Sale:
            return Sale(id="1", user="ann", shop="baker", amount=5.0, at=at)

        await process(store, [batch([sale(2_000.0)])])
        events: list[Event] = [sale(2_000.0), sale(1_990.0), sale(1_925.0), sale(1_250.0), sale(1_200.0)]
        assert dropped == []
        await store.merge([SOURCE], [one_merge(events[1:], 0, 5)])  # some too late for the delta, some for the state
        await store.merge([SOURCE], [one_merge(events, 5, 6)])  # all too late for the delta
        assert dropped == [("sale_by_user", 1 + 2 + 2)] * 2

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


def test_fences_of_many_sources_move_at_once(run: Run) -> None:
    """Merges without entities, asked for at the same time, each move their own source's fences and no others, if as expected."""
    sources = [Source("sales", partition) for partition in range(50)]

    def move(number: int, expected: int, new: int) -> Merge:
        shards = list(range(number % PLAN.shards, PLAN.shards))
        return Merge(
            SPACE, GROUP, NO_ENTITIES, np.empty((0, GROUP.length)), shards, fences([expected], shards), fences([new], shards)
        )

    async def body(store: Store) -> None:
        first = await asyncio.gather(*(store.merge([source], [move(i, NEVER, i)]) for i, source in enumerate(sources)))
        again = await asyncio.gather(*(store.merge([source], [move(i, i - i % 2, 100)]) for i, source in enumerate(sources)))
        for number, source in enumerate(sources):
            (found,) = await store.fences([SPACE], source)
            skipped, merged = found[: number % PLAN.shards], found[number % PLAN.shards :]
            assert (skipped == NEVER).all()
            assert (merged == (number if number % 2 else 100)).all()  # odd ones expected another fence
            assert (first[number][0][0, number % PLAN.shards :] == NEVER).all()
            assert (first[number][0][0, : number % PLAN.shards] == UNREAD).all()
            assert (again[number][0][0, number % PLAN.shards :] == number).all()

    run(body)


def test_moves_of_one_fence_at_the_same_time_follow_one_another(run: Run) -> None:
    """Of two that expect the same, one moves the fence, and the other finds it moved."""

    async def body(store: Store) -> None:
        moves = [
            Merge(SPACE, GROUP, NO_ENTITIES, np.empty((0, GROUP.length)), [0], fences([NEVER], [0]), fences([new], [0]))
            for new in (10, 20)
        ]
        one, other = [int(found[0][0, 0]) for found in await asyncio.gather(*(store.merge([SOURCE], [move]) for move in moves))]
        (found,) = await store.fences([SPACE], SOURCE)
        assert sorted((one, other)) in ([NEVER, 10], [NEVER, 20])
        assert int(found[0]) == (10 if one == NEVER else 20)

    run(body)
