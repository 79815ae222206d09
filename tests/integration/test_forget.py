"""`tidegate forget`: the entity's states are gone from every group, its old events come back by no way, and the act is kept."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from featurestore.admission import picked
from featurestore.events import Source
from featurestore.redis_client import connect
from featurestore.redis_store import RedisStore
from featurestore.store import Merge
from streams.audit import Act, erasures, read_acts, write_act
from streams.forgetting import TAKEN_IN_SECONDS, forget
from tests.integration.replay import wait_for
from tests.integration.shop import OTHER_KEY, TILES, Shop, batch, trade

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def shop(counted_shop: Shop) -> Shop:
    return counted_shop


def of(event: Any) -> str | None:
    found: str | None = getattr(event, "user", None) or getattr(event, "buyer", None)
    return found


def test_the_entity_is_gone_from_every_group_under_every_name(shop: Shop) -> None:
    events, before = trade(shop.pipeline(TILES), 0, 700), shop.states(TILES)
    forgotten = shop.call("forget", shop.file(TILES), "user=u7", "--yes", "--why", "request 1")
    assert forgotten.exit_code == 0, forgotten.output
    after, without = shop.states(TILES), shop.expected(TILES, [event for event in events if of(event) != "u7"])
    assert after == without  # its states alone are gone, also those keyed with a shop, and by buyer, which user is read by
    assert {group: len(before[group]) - len(after[group]) for group in after} == {
        "sale_by_user": 1,
        "sale_by_user_shop": len({event.shop for event in events if getattr(event, "user", None) == "u7"}),
        "refund_by_buyer": 1,
    }
    assert "u7" not in forgotten.output
    for words in (f"{shop.name}.sales ", "source events, until 20", "tidegate.audit", "for ever"):
        assert words in forgotten.output


def test_old_events_come_back_by_no_way(shop: Shop) -> None:
    """Not by a backfill into new namespaces, from Kafka or Parquet, nor in training; later events count."""
    events = trade(shop.pipeline(TILES), 0, 700)
    assert shop.call("forget", shop.file(TILES), "user=u7", "--yes").exit_code == 0
    kept = [event for event in events if of(event) != "u7"]
    assert shop.call("backfill", shop.file(12)).exit_code == 0
    assert shop.states(12) == shop.expected(12, kept)
    assert shop.call("backfill", shop.file(24), "--from", str(shop.write_history(events))).exit_code == 0
    assert shop.states(24) == shop.expected(24, kept)
    erased = erasures(shop.settings, shop.plan(TILES))
    assert erased is not None
    sales = [event for event in events if hasattr(event, "user")]
    whole = batch(type(sales[0]), [msgspec.to_builtins(event) for event in sales])
    assert {event.id for event in picked(whole, erased.kept(whole)).events} == {event.id for event in sales if event.user != "u7"}
    later = batch(type(sales[0]), [msgspec.to_builtins(event) | {"at": 4e9} for event in sales])
    assert erased.kept(later).all()


@pytest.mark.parametrize("check_seconds", [60.0, 0.0])
def test_a_running_backfill_brings_nobody_back(shop: Shop, monkeypatch: pytest.MonkeyPatch, check_seconds: float) -> None:
    """Forgotten after its third merge: it leaves out what comes as soon as it looks, and deletes what it had merged itself."""
    events, waited, back = trade(shop.pipeline(TILES), 0, 700), list[float](), list[int]()
    kept = [event for event in events if of(event) != "u7"]
    merge = RedisStore.merge

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    async def merge_and_forget(store: RedisStore, source: Source, merges: Sequence[Merge]) -> list[Any]:
        done = await merge(store, source, merges)
        if any(len(one.entities) for one in merges):
            back.append(sum(b"u7" in one.entities.ids for one in merges))
        if len(back) == 3 and not waited:
            client = connect(shop.redis)
            await forget(shop.pipeline(12), shop.settings, client, {"user": "u7"}, "ann", "request 1", wait)
            await client.aclose()
        return done

    monkeypatch.setattr("streams.filling.CHUNK_EVENTS", 50)
    monkeypatch.setattr("streams.fill_watch.CHECK_SECONDS", check_seconds)
    monkeypatch.setattr(RedisStore, "merge", merge_and_forget)
    filled = shop.call("backfill", shop.file(12))
    assert filled.exit_code == 0, filled.output
    assert shop.states(12) == shop.expected(12, kept)
    assert waited == [TAKEN_IN_SECONDS]
    assert any(back[3:]) == (check_seconds > 0)


def test_a_backfill_between_the_first_look_and_the_act_brings_nobody_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its namespaces are entered once forget has looked which there are, and it has read the acts before there is a new one."""
    events, write = trade(shop.pipeline(TILES), 0, 700), write_act

    def fill_and_write(kafka: str, act: Act) -> None:
        assert shop.call("backfill", shop.file(12)).exit_code == 0
        write(kafka, act)

    monkeypatch.setattr("streams.forgetting.write_act", fill_and_write)
    assert shop.call("forget", shop.file(TILES), "user=u7", "--yes").exit_code == 0
    kept = [event for event in events if of(event) != "u7"]
    assert shop.states(12) == shop.expected(12, kept)


def test_without_the_key_nothing_is_forgotten_and_nothing_filled(shop: Shop) -> None:
    before = shop.states(TILES)
    refused = shop.call("forget", shop.file(TILES), "user=u7", "--yes", TIDEGATE_HASH_KEY=None)
    assert (refused.exit_code, "TIDEGATE_HASH_KEY is not set" in refused.output) == (1, True)
    assert "openssl rand -hex 32" in refused.output
    assert shop.states(TILES) == before
    assert shop.call("forget", shop.file(TILES), "user=u7", "--yes").exit_code == 0
    for key, words in ((None, "is not set"), (OTHER_KEY, "is not the key that entities were forgotten under")):
        found = shop.call("backfill", shop.file(12), TIDEGATE_HASH_KEY=key)
        assert (found.exit_code, words in found.output) == (1, True)
    unknown = shop.call("forget", shop.file(TILES), "country=DE", "--yes")
    assert (unknown.exit_code, "is keyed by country" in unknown.output) == (1, True)


def test_a_backlog_of_the_forgotten_counts_nowhere(shop: Shop) -> None:
    """Forgotten while workers are far behind: what they merged before they knew is deleted, what they read later left out."""
    events = trade(shop.pipeline(TILES), 0, 3_700)
    shop.send(events[700:])
    said = shop.start_worker(TILES, "--max-chunk-events", "1", "--in-flight", "1")
    wait_for(lambda: "partitions of" in said() and shop.lag() < 2_900, 60, "the worker has begun with its backlog")
    behind: list[float] = []  # moments at which the worker had something left
    with ThreadPoolExecutor() as beside:
        command = beside.submit(shop.call, "forget", shop.file(TILES), "user=u7", "--yes")
        while not command.done() and shop.lag() > 0:
            behind.append(time.time())
    assert command.result().exit_code == 0, command.result().output
    act = next(act for act in read_acts(shop.kafka) if act.pipeline == shop.name)
    assert behind[-1] > act.when + 1, "the worker had caught up when it was to forget: the test tests nothing"
    shop.wait_until_committed()
    assert shop.states(TILES) == shop.expected(TILES, [event for event in events if of(event) != "u7"])


def test_a_worker_without_the_key_stops_at_the_first_act_and_stays_away(shop: Shop) -> None:
    """Whoever it cannot know it would bring back: a running one stops, and none starts until it has the key."""
    events = trade(shop.pipeline(TILES), 0, 1_400)
    said = shop.start_worker(TILES, TIDEGATE_HASH_KEY="")
    wait_for(lambda: "partitions of" in said(), 60, "the worker runs: nobody was forgotten")
    forgotten = shop.call("forget", shop.file(TILES), "user=u7", "--yes")
    assert forgotten.exit_code == 0, forgotten.output
    assert shop.workers[0].wait(20) == 1
    again = shop.start_worker(TILES, TIDEGATE_HASH_KEY="")
    assert shop.workers[1].wait(60) == 1
    for text in (said(), again()):
        assert f"entities of {shop.name} were forgotten, and TIDEGATE_HASH_KEY is not set" in text
        assert "Traceback" not in text
    shop.send(events[700:])
    shop.start_worker(TILES)
    shop.wait_until_committed()
    assert shop.states(TILES) == shop.expected(TILES, [event for event in events if of(event) != "u7"])


def test_the_act_is_kept_as_its_schema_says(shop: Shop) -> None:
    assert shop.call("forget", shop.file(TILES), "user=u7,shop=m1", "--yes", "--who", "ann").exit_code == 0
    acts = [json.loads(value) for _, _, value in shop.records("tidegate.audit")]
    act = next(act for act in acts if act["pipeline"] == shop.name)
    schema = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "audit.json").read_text())
    jsonschema.validate(act, schema)
    assert schema == msgspec.json.schema(Act)
    assert (act["act"], act["fields"], act["who"]) == ("forget", ["shop", "user"], "ann")
    assert "u7" not in json.dumps(act)
    assert b"u7|m1" not in shop.states(TILES)["sale_by_user_shop"]
    assert b"u7" in shop.states(TILES)["sale_by_user"]  # only the pair was named
