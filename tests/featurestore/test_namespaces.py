"""The list of namespaces: entered once, checked by whoever reads, and who uses what."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import redis

from featurestore.errors import NamespaceError, TopicReplacedError
from featurestore.namespaces import USED_SECONDS, Namespaces, checked, entry
from featurestore.plan import FeaturePlan
from featurestore.redis_client import connect
from tests.featurestore.test_shared import READER
from tests.featurestore.world import PLAN

Ask = Callable[[Callable[[Namespaces], Coroutine[Any, Any, Any]]], Any]
NOW = 1_700_000_000.0
IDS = {"sales": "one", "refunds": "two"}


@pytest.fixture
def ask(redis_client: redis.Redis, redis_url: str) -> Ask:
    """Asks an empty list in a real Redis."""

    def run(question: Callable[[Namespaces], Coroutine[Any, Any, Any]]) -> Any:
        async def whole() -> Any:
            client = connect(redis_url)
            try:
                return await question(Namespaces(client))
            finally:
                await client.aclose()

        return asyncio.run(whole())

    return run


def shards(n: int) -> FeaturePlan:
    return replace(PLAN, shards=n)


def test_the_first_entry_stays(ask: Ask) -> None:
    first = ask(lambda namespaces: namespaces.register(PLAN, IDS, NOW))
    again = ask(lambda namespaces: namespaces.register(PLAN, {}, NOW + 1))
    assert again == first
    assert ask(lambda namespaces: namespaces.all()) == {one.name: one for one in first.values()}
    group = PLAN.groups[1]
    found = first[group.name]
    assert (found.name, found.by, found.topic, found.topic_id) == (PLAN.namespace(group), group.by, "sales", "one")
    assert (found.shards, found.doubles, found.first_used, found.backfill) == (4, group.length, NOW, None)


def test_another_number_of_shards_is_refused_with_the_remedy(ask: Ask) -> None:
    ask(lambda namespaces: namespaces.register(PLAN, IDS, NOW))
    with pytest.raises(NamespaceError, match=r"made with 4 shards, world declares 8: set shards=4.*tidegate backfill"):
        ask(lambda namespaces: namespaces.register(shards(8), IDS, NOW))


def test_a_topic_created_anew_is_refused_with_the_remedy(ask: Ask) -> None:
    ask(lambda namespaces: namespaces.register(PLAN, IDS, NOW))
    names = " ".join(PLAN.namespace(group) for group in PLAN.written_by("refunds"))
    remedy = rf"tidegate features drop {names}, .* --delete-offsets --group tidegate.world --topic refunds$"
    with pytest.raises(TopicReplacedError, match=rf"refunds is not the one.*created anew.*{remedy}"):
        ask(lambda namespaces: namespaces.register(PLAN, IDS | {"refunds": "three"}, NOW))


def test_a_reader_needs_the_owners_namespace_in_its_own_number_of_shards() -> None:
    group = PLAN.groups[0]
    owned = msgspec.structs.replace(entry(PLAN, group, "one", NOW), pipeline="owner")
    assert checked(PLAN, group, owned, {}) is owned
    with pytest.raises(NamespaceError, match=r"is not there: start that pipeline's workers first"):
        checked(READER, READER.groups[0], None, {})
    with pytest.raises(NamespaceError, match=r"is entered no more: it was dropped, or Redis lost it; start this once more"):
        checked(READER, READER.groups[1], None, {})
    with pytest.raises(NamespaceError, match=r"made with 4 shards by owner, world declares 2: set shards=4"):
        checked(shards(2), group, owned, {})


def test_what_is_used_is_forgotten_after_a_minute(ask: Ask, redis_client: redis.Redis) -> None:
    names = [PLAN.namespace(group) for group in PLAN.groups[:2]]
    ask(lambda namespaces: namespaces.use(names[:1], "world"))
    assert ask(lambda namespaces: namespaces.used(names)) == {names[0]: "world"}
    assert 0 < redis_client.ttl(f"tidegate:used:{names[0]}") <= USED_SECONDS


def test_a_backfill_takes_its_word_back_and_the_workers_stands(ask: Ask) -> None:
    names = [PLAN.namespace(group) for group in PLAN.groups[:2]]
    ask(lambda namespaces: namespaces.use(names, "world"))
    ask(lambda namespaces: namespaces.fill(names[:1], "world"))
    assert ask(lambda namespaces: namespaces.filling(names)) == {names[0]: "world"}
    ask(lambda namespaces: namespaces.fill_ends(names))
    assert ask(lambda namespaces: namespaces.filling(names)) == {}
    assert ask(lambda namespaces: namespaces.used(names)).keys() == set(names)


def test_a_removed_entry_is_gone(ask: Ask) -> None:
    found = ask(lambda namespaces: namespaces.register(PLAN, IDS, NOW))
    first, *others = found.values()
    ask(lambda namespaces: namespaces.remove(first.name))
    assert ask(lambda namespaces: namespaces.all()).keys() == {one.name for one in others}
