"""What every Store must do with one read or merge: compare-and-set on fences, of one source or of several."""

import asyncio
from dataclasses import replace

import numpy as np

from featurestore.entities import NO_ENTITIES
from featurestore.events import Event, Source
from featurestore.store import NEVER, UNREAD, Merge, Read, Store
from tests.featurestore.stores import GROUP, SALE, SOURCE, SPACE, Run, fences, one_merge, process
from tests.featurestore.world import PLAN, Sale, batch


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


def test_shards_that_are_not_named_are_left_alone(run: Run) -> None:
    sales: list[Event] = [Sale(id="1", user=f"u{i}", shop="baker", amount=5.0, at=1_000.0) for i in range(40)]

    async def body(store: Store) -> None:
        whole = one_merge(sales, NEVER, 7)
        assert len(whole.shards) == PLAN.shards
        (found,) = await store.merge([SOURCE], [replace(whole, shards=whole.shards[1:3])])
        assert found.tolist() == [[UNREAD, NEVER, NEVER, UNREAD]]
        ids = [id for id, shard in zip(whole.entities.ids, whole.entities.shards, strict=True) if shard in (1, 2)]
        assert sorted(await store.dump(SPACE)) == sorted(ids)
        assert (await store.fences([SPACE], SOURCE))[0].tolist() == [NEVER, 7, 7, NEVER]

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
