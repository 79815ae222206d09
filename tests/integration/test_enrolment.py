"""A worker's standing in the feature store: what it enters, what it refuses, and what it notices while it runs."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import redis
from confluent_kafka.admin import NewTopic

from featurestore.definitions import On, Shared
from featurestore.errors import NamespaceError, TopicReplacedError
from featurestore.namespaces import Namespaces
from featurestore.plan import FeaturePlan, compile_plan
from featurestore.redis_client import connect
from featurestore.redis_store import RedisStore
from streams import forgetting
from streams.audit import Act, NewActs
from streams.dropping import drop
from streams.enrolment import CHECK_SECONDS, Enrolment, Watch, ttl_ms
from tests.integration.replay import wait_for
from tests.integration.shop import START, TILES, Shop, batch, trade

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
DAY_MS = 86_400_000


def enrolled(shop: Shop, then: Callable[[Enrolment], Coroutine[Any, Any, None]], plan: FeaturePlan | None = None) -> None:
    """Enters as a worker does, then does what is asked."""

    async def whole() -> None:
        wanted = plan or shop.plan(TILES)
        store = RedisStore(shop.redis, wanted.shards)
        enrolment = Enrolment(wanted, shop.settings, store, shop.facts())
        try:
            await enrolment.enter()
            await then(enrolment)
        finally:
            await enrolment.close()
            await store.close()

    asyncio.run(whole())


async def nothing(_: Enrolment) -> None:
    pass


def create_anew(shop: Shop, topic: str) -> None:
    shop.admin.delete_topics([topic])[topic].result(30)
    wait_for(lambda: topic not in shop.facts().ids([topic]), 30, "the topic is gone")
    shop.admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(30)
    wait_for(lambda: topic in shop.facts().ids([topic]), 30, "the topic is there again")


def test_a_topic_created_anew_is_noticed_while_running_and_at_start(shop: Shop) -> None:
    """Also one that is longer than the old one was, whose fences look sound."""
    shop.send(trade(shop.pipeline(TILES), 0, 10))

    async def replace_the_topic(enrolment: Enrolment) -> None:
        await enrolment.check()
        await asyncio.to_thread(create_anew, shop, f"{shop.name}.sales")
        await asyncio.to_thread(shop.send, trade(shop.pipeline(TILES), 0, 100))
        with pytest.raises(TopicReplacedError, match="was created anew"):
            await enrolment.check()

    enrolled(shop, replace_the_topic)
    with pytest.raises(TopicReplacedError, match=rf"tidegate features drop {shop.name}\.sale_by_user\.v1\.\w+ {shop.name}\."):
        enrolled(shop, nothing)


def test_a_topic_that_is_away_for_a_moment_stops_nobody(shop: Shop) -> None:
    async def delete_the_topic(enrolment: Enrolment) -> None:
        shop.admin.delete_topics([f"{shop.name}.refunds"])[f"{shop.name}.refunds"].result(30)
        await enrolment.check()

    enrolled(shop, delete_the_topic)


def test_another_number_of_shards_is_refused(shop: Shop) -> None:
    enrolled(shop, nothing)
    with pytest.raises(NamespaceError, match=r"made with 4 shards, .* declares 8"):
        enrolled(shop, nothing, replace(shop.plan(TILES), shards=8))


def plan_of_a_reader(shop: Shop) -> FeaturePlan:
    """Of another pipeline, which scores refunds and reads the shop's features of users for their buyers."""
    owner = shop.pipeline(TILES)
    sales = next(feature for feature in owner.features if isinstance(feature, On) and feature.by == "user")
    refund = next(feature.event for feature in owner.features if isinstance(feature, On) and feature.by == "buyer")
    shared = [Shared(replace(sales, read_by="buyer"), pipeline=shop.name)]
    return compile_plan(f"{shop.name}-reader", refund, shared, owner.shards)


def test_a_reader_waits_for_the_owner_and_reads_its_states(shop: Shop) -> None:
    """A shared group is read from the owner's namespace, in the owner's number of shards, and marked as in use."""
    reader = plan_of_a_reader(shop)
    with pytest.raises(
        NamespaceError, match=rf"{shop.name}\.sale_by_user\.\S+ is not there: start that pipeline's workers first"
    ):
        enrolled(shop, nothing, reader)
    enrolled(shop, nothing)
    with pytest.raises(NamespaceError, match=rf"made with 4 shards by {shop.name}, {shop.name}-reader declares 2: set shards=4"):
        enrolled(shop, nothing, replace(reader, shards=2))
    enrolled(shop, nothing, reader)
    with redis.Redis.from_url(shop.redis) as client:
        assert client.get(f"tidegate:used:{reader.namespace(reader.groups[0])}") == f"{shop.name}-reader".encode()


def test_a_reader_stops_when_its_owners_group_is_entered_anew_in_other_shards(shop: Shop) -> None:
    """It would look for entities where they are no more, and serve them as never seen."""
    reader = plan_of_a_reader(shop)

    async def make_anew(enrolment: Enrolment) -> None:
        client, name = connect(shop.redis), reader.namespace(reader.groups[0])
        entered = (await Namespaces(client).all())[name]
        await drop(client, name)
        with pytest.raises(NamespaceError, match=r"is not there: start that pipeline's workers first"):
            await enrolment.check()
        await Namespaces(client).put(msgspec.structs.replace(entered, shards=8))
        await client.aclose()
        with pytest.raises(NamespaceError, match=rf"made with 8 shards by {shop.name}, {shop.name}-reader declares 4: set"):
            await enrolment.check()

    enrolled(shop, nothing)
    enrolled(shop, make_anew, reader)


def test_a_worker_stops_when_its_namespace_is_dropped(shop: Shop) -> None:
    """While the drop goes on, too: what it merges meanwhile is deleted."""
    name = shop.plan(TILES).namespace(shop.plan(TILES).groups[0])

    async def drop_it(enrolment: Enrolment) -> None:
        client = connect(shop.redis)
        await enrolment.check()
        await Namespaces(client).drop_begins(name)
        with pytest.raises(NamespaceError, match=f"{name} is being dropped"):
            await enrolment.check()
        await drop(client, name)
        await client.aclose()
        with pytest.raises(NamespaceError, match=f"{name} is entered no more: it was dropped, or Redis lost it; start this once"):
            await enrolment.check()

    enrolled(shop, drop_it)


def test_an_unfinished_file_is_refused_though_its_entry_says_done(shop: Shop, redis_client: redis.Redis) -> None:
    """Redis may have lost merges of the file and kept the entry: the fences are what counts."""
    plan = shop.plan(TILES)
    shop.send(trade(shop.pipeline(TILES), 0, 100))
    shop.commit_as_if_served()
    history = shop.write_history(trade(shop.pipeline(TILES), 0, 100))
    assert shop.call("backfill", shop.file(TILES), "--from", str(history)).exit_code == 0
    enrolled(shop, nothing)
    users = plan.namespace(plan.groups[0])
    redis_client.set(f"{{{users}:2}}:f:parquet:{shop.name}.sales:0", 3)
    with pytest.raises(NamespaceError, match="run the same tidegate backfill again"):
        enrolled(shop, nothing)


@pytest.fixture
def filled_shop(shop: Shop) -> Shop:
    """One with 300 events from Parquet, up to a cut at event 200, and the 250 later ones of Kafka's 350."""
    events = trade(shop.pipeline(TILES), 0, 450)
    shop.send(events[100:])
    shop.commit_as_if_served()
    history = shop.write_history(events[:300])
    filled = shop.call("backfill", shop.file(TILES), "--from", str(history), "--until", "2023-11-14T22:15:00")
    assert filled.exit_code == 0, filled.output
    assert shop.states(TILES) == shop.expected(TILES, events)
    return shop


LOST = r"was filled from a Parquet file, which Redis has lost: run the same tidegate backfill again"


def test_a_parquet_fill_that_redis_lost_is_not_forgotten(filled_shop: Shop, redis_client: redis.Redis) -> None:
    """Kafka's oldest records are still there, so that nothing else would miss the file; the fill goes by its first cut again."""
    redis_client.flushdb()
    with pytest.raises(NamespaceError, match=LOST):
        enrolled(filled_shop, nothing)
    assert not redis_client.keys("*")
    history = str(filled_shop.folder / "history")
    again = filled_shop.call("backfill", filled_shop.file(TILES), "--from", history)
    assert again.exit_code == 0, again.output
    assert filled_shop.states(TILES) == filled_shop.expected(TILES, trade(filled_shop.pipeline(TILES), 0, 450))
    enrolled(filled_shop, nothing)


def test_a_cut_is_kept_though_its_entry_alone_is_lost(filled_shop: Shop, redis_client: redis.Redis) -> None:
    """As on a cluster whose node of that one key came back empty: states and fences are there, and what may not count again."""
    group, states = filled_shop.plan(TILES).groups[0], filled_shop.states(TILES)
    redis_client.delete("tidegate:namespaces")
    with pytest.raises(NamespaceError, match=LOST):
        enrolled(filled_shop, nothing)
    from_kafka = filled_shop.call("backfill", filled_shop.file(TILES))
    assert "is being filled from parquet: go on with --from FOLDER" in from_kafka.output
    sales = [event for event in trade(filled_shop.pipeline(TILES), 100, 450) if hasattr(event, "user")]
    whole = batch(group.on.event, [{name: getattr(e, name) for name in e.__struct_fields__} for e in sales])
    again = filled_shop.call("backfill", filled_shop.file(TILES), "--from", str(filled_shop.folder / "history"))
    assert again.exit_code == 0, again.output
    assert filled_shop.states(TILES) == states

    async def heeds_the_cut(enrolment: Enrolment) -> None:
        assert enrolment.admits(group, whole).tolist() == [event.at >= START + 100 for event in sales]

    enrolled(filled_shop, heeds_the_cut)


def test_only_the_same_file_takes_a_lost_ones_place(filled_shop: Shop, redis_client: redis.Redis) -> None:
    redis_client.flushdb()
    other = filled_shop.write_history(trade(filled_shop.pipeline(TILES), 0, 250))
    refused = filled_shop.call("backfill", filled_shop.file(TILES), "--from", str(other))
    assert (refused.exit_code, "is not the file that it was begun with" in refused.output) == (1, True)


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_dropped_begins_anew(filled_shop: Shop, redis_client: redis.Redis, lost: bool) -> None:
    """Also where Redis has nothing of it left to drop; another file may then fill it."""
    names = [filled_shop.plan(TILES).namespace(group) for group in filled_shop.plan(TILES).groups]
    if lost:
        redis_client.flushdb()
    dropped = filled_shop.call("features", "drop", "--yes", *names)
    assert dropped.exit_code == 0, dropped.output
    enrolled(filled_shop, nothing)
    assert "there is no namespace" in filled_shop.call("features", "drop", "--yes", f"{names[0]}x").output
    redis_client.flushdb()
    events = trade(filled_shop.pipeline(TILES), 0, 450)
    other = filled_shop.write_history(events[:350])
    filled = filled_shop.call("backfill", filled_shop.file(TILES), "--from", str(other))
    assert filled.exit_code == 0, filled.output
    assert filled_shop.states(TILES) == filled_shop.expected(TILES, events)


def test_running_workers_take_an_erasure_in(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the command has waited for them, it deletes what they merged meanwhile."""
    assert forgetting.TAKEN_IN_SECONDS > CHECK_SECONDS
    deletions, delete = list[float](), forgetting._delete

    async def watched(*arguments: Any) -> None:
        deletions.append(time.monotonic())
        await delete(*arguments)

    monkeypatch.setattr(forgetting, "TAKEN_IN_SECONDS", 1.5)
    monkeypatch.setattr(forgetting, "_delete", watched)
    events = trade(shop.pipeline(TILES), 0, 100)
    sales = [event for event in events if hasattr(event, "user")]
    plan = shop.plan(TILES)
    whole = batch(plan.groups[0].on.event, [{name: getattr(e, name) for name in e.__struct_fields__} for e in sales])

    async def forget(enrolment: Enrolment) -> None:
        assert enrolment.admits(plan.groups[0], whole).all()
        forgotten = await asyncio.to_thread(shop.call, "forget", shop.file(TILES), f"user={sales[1].user}", "--yes")
        assert forgotten.exit_code == 0, forgotten.output
        await enrolment.check()
        admitted = enrolment.admits(plan.groups[0], whole)
        assert admitted.tolist() == [event.user != sales[1].user for event in sales]

    enrolled(shop, forget)
    first, again = deletions
    assert again - first > 1.5


def test_an_act_from_while_a_worker_starts_is_taken_in(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written once the worker has read the acts, and before it says that it runs: forget cannot know of it."""
    sales = [event for event in trade(shop.pipeline(TILES), 0, 100) if hasattr(event, "user")]
    plan, register = shop.plan(TILES), Namespaces.register
    whole = batch(plan.groups[0].on.event, [{name: getattr(e, name) for name in e.__struct_fields__} for e in sales])

    async def forget_and_register(*arguments: Any, **named: Any) -> Any:
        forgotten = await asyncio.to_thread(shop.call, "forget", shop.file(TILES), f"user={sales[1].user}", "--yes")
        assert forgotten.exit_code == 0, forgotten.output
        return await register(*arguments, **named)

    async def knows_the_act(enrolment: Enrolment) -> None:
        assert enrolment.admits(plan.groups[0], whole).tolist() == [event.user != sales[1].user for event in sales]

    monkeypatch.setattr(Namespaces, "register", forget_and_register)
    enrolled(shop, knows_the_act)


def test_a_worker_says_that_it_runs_before_it_reads_the_acts_it_goes_by(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """So whoever forgets behind its last look sees it, and deletes once more."""
    names, said, look = [shop.plan(TILES).namespace(group) for group in shop.plan(TILES).groups], list[bool](), NewActs.__call__

    def watched(acts: NewActs) -> list[Act] | None:
        with redis.Redis.from_url(shop.redis) as client:
            said.append(all(client.exists(f"tidegate:used:{name}") for name in names))
        return look(acts)

    monkeypatch.setattr(NewActs, "__call__", watched)
    enrolled(shop, nothing)
    assert said[-1]


def test_the_watch_looks_at_once() -> None:
    """Not after ten seconds: a worker that took long to start would go by old acts for longer than forget waits."""
    looked = asyncio.Event()

    class Looking:
        async def check(self) -> None:
            looked.set()

        async def check_eviction(self) -> None:
            pass

    async def start() -> None:
        watch = Watch(Looking(), Looking())  # type: ignore[arg-type]
        await watch.start()
        try:
            async with asyncio.timeout(CHECK_SECONDS / 2):
                await looked.wait()
        finally:
            await watch.stop()

    asyncio.run(start())


def test_states_live_for_their_horizon_and_the_topics_retention(shop: Shop) -> None:
    plan = shop.plan(TILES)
    kept = ttl_ms(plan, {f"{shop.name}.sales": DAY_MS, f"{shop.name}.refunds": None})
    assert kept["refund_by_buyer"] is None
    assert kept["sale_by_user"] == DAY_MS + 1000 * plan.groups[0].horizon_seconds > DAY_MS + 600_000
    found = shop.facts().retention_ms([f"{shop.name}.sales", "tidegate.none"])
    assert found == {f"{shop.name}.sales": 7 * DAY_MS, "tidegate.none": None}
