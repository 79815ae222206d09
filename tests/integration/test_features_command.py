"""`tidegate features`: what it lists and shows is what lies in Redis; what it drops is gone, whole, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import redis
from confluent_kafka import Consumer

from featurestore import offline
from streams.embedded.cluster import EmbeddedCluster
from streams.topic_facts import group_of
from tests.integration.replay import wait_for
from tests.integration.shop import START, TILES, Shop, batch, trade

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def shop(counted_shop: Shop) -> Shop:
    return counted_shop


def listed(shop: Shop, *arguments: str) -> dict[str, list[str]]:
    """The cells of each line of `features list`, by namespace."""
    found = shop.call("features", "list", *arguments)
    assert found.exit_code == 0, found.output
    lines = [line.split() for line in found.output.splitlines()]
    return {cells[0]: cells[1:] for cells in lines if cells and cells[0].startswith(shop.name)}


def test_list_tells_sizes_fences_and_who_uses_what(shop: Shop, redis_client: redis.Redis) -> None:
    plan, states = shop.plan(TILES), shop.states(TILES)
    users, pairs, buyers = (plan.namespace(group) for group in plan.groups)
    redis_client.set(f"tidegate:used:{users}", shop.name)
    redis_client.hdel("tidegate:namespaces", buyers)
    shop.send(trade(shop.pipeline(TILES), 700, 770))
    shop.commit_as_if_served()
    ends = shop.facts().ends([tp for tp in shop.tps() if tp.topic.endswith("sales")])
    found = listed(shop, shop.file(TILES))
    assert found[users][:3] == ["running", "user", str(len(states["sale_by_user"]))]
    assert found[pairs][0] == "declared"
    assert found[buyers][0] == "unknown"
    assert "60" in found[users]  # of 70 new events 60 are sales, committed and not counted
    assert f"{max(ends.values()):,}" not in found[users]
    changed = listed(shop, shop.file(12))
    assert changed[pairs][0] == "old"
    assert changed.keys() == found.keys() == listed(shop, "--all").keys()


def test_show_is_what_the_next_event_would_see(shop: Shop) -> None:
    events = trade(shop.pipeline(TILES), 0, 700)
    found = next(event for event in reversed(events) if getattr(event, "user", None))
    probe = type(found)(id="probe", user=found.user, shop=found.shop, amount=1.0, at=START + 360)
    plan = shop.plan(TILES)
    by_topic = {event.__contract__.topic: event for event in plan.events if event.__contract__}
    kinds: dict[str, list[dict[str, object]]] = {topic: [] for topic in by_topic}
    for event in [*events, probe]:
        kinds[event.__contract__.topic].append(msgspec.to_builtins(event))
    vector = offline.compute(plan, [batch(by_topic[topic], rows) for topic, rows in kinds.items()]).served.vectors[-1]
    entities = (f"user={found.user}", f"user={found.user},shop={found.shop}")
    shown = shop.call("features", "show", shop.file(TILES), *entities, "--at", "2023-11-14T22:19:20")
    assert shown.exit_code == 0, shown.output
    values = {line.split()[0]: line.split()[1:] for line in shown.output.splitlines() if line.startswith("  ")}
    for column, value in zip(plan.schema.columns, vector.tolist(), strict=True):
        if column.name != "amount":
            expected = ["MISSING"] if value != value else [f"{value:,.6g}", "FRESH"]
            assert values[column.name] == expected, column.name
    assert "sale_by_user  (newest event " in shown.output
    nobody = shop.call("features", "show", shop.file(TILES), "user=nobody")
    assert "sale_by_user  (no event)" in nobody.output
    assert nobody.output.count("MISSING") == 10
    wrong = shop.call("features", "show", shop.file(TILES), "country=DE")
    assert (wrong.exit_code, "is keyed by country; there are buyer; user; user,shop" in wrong.output) == (1, True)


def test_show_looks_into_no_other_shards(shop: Shop) -> None:
    """It would find nobody there, and say so as if there were none."""
    path = Path(shop.file(TILES))
    path.write_text(path.read_text().replace("shards=4", "shards=8"))
    shown = shop.call("features", "show", str(path), "user=u7")
    assert (shown.exit_code, "was made with 4 shards" in shown.output) == (1, True)


def test_drop_removes_one_namespace_and_asks_first(shop: Shop, redis_client: redis.Redis) -> None:
    plan, before = shop.plan(TILES), shop.states(TILES)
    users, pairs, _ = (plan.namespace(group) for group in plan.groups)
    asked = shop.call("features", "drop", users)
    assert (asked.exit_code, shop.states(TILES)) == (1, before)
    dropped = shop.call("features", "drop", users, "--yes")
    assert dropped.exit_code == 0, dropped.output
    assert not [key for key in redis_client.keys("*") if users.encode() in key]
    assert shop.states(TILES) == before | {"sale_by_user": {}}
    assert listed(shop, "--all").keys() == {plan.namespace(group) for group in plan.groups} - {users}
    assert "there is no namespace" in shop.call("features", "drop", users, "--yes").output
    again = shop.call("backfill", shop.file(TILES))
    assert "sale_by_user: filled" in again.output
    assert shop.states(TILES) == before
    assert pairs in listed(shop, "--all")


def test_what_workers_use_is_dropped_by_force_alone(shop: Shop, redis_client: redis.Redis) -> None:
    users = shop.plan(TILES).namespace(shop.plan(TILES).groups[0])
    redis_client.set(f"tidegate:used:{users}", shop.name)
    consumer = Consumer({"bootstrap.servers": shop.kafka, "group.id": group_of(shop.name)})
    consumer.subscribe([f"{shop.name}.sales"])

    def joined() -> bool:
        consumer.poll(0.2)
        return shop.facts().members(group_of(shop.name)) > 0

    wait_for(joined, 30, "a member of the group")
    refused = shop.call("features", "drop", users, "--yes")
    assert (refused.exit_code, f"in use by workers of {shop.name}" in refused.output) == (1, True)
    assert shop.states(TILES)["sale_by_user"]
    consumer.close()
    assert shop.call("features", "drop", users, "--yes").exit_code == 0  # its workers are gone, whatever the mark says
    assert not shop.states(TILES)["sale_by_user"]


def test_a_worker_that_starts_while_somebody_thinks_is_safe(
    shop: Shop, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, before = shop.plan(TILES).namespace(shop.plan(TILES).groups[0]), shop.states(TILES)

    def think(*_: object, **__: object) -> None:
        redis_client.set(f"tidegate:used:{users}", shop.name)

    monkeypatch.setattr("click.confirm", think)
    monkeypatch.setattr("streams.topic_facts.TopicFacts.members", lambda *_: 1)
    refused = shop.call("features", "drop", users)
    assert (refused.exit_code, f"in use by workers of {shop.name}" in refused.output) == (1, True)
    assert shop.states(TILES) == before


def test_redis_away_is_one_sentence(shop: Shop) -> None:
    found = shop.call("features", "list", "--all", REDIS_URL="redis://127.0.0.1:1/0")
    assert (found.exit_code, "Redis does not answer; check REDIS_URL" in found.output) == (1, True)


def test_a_cluster_is_listed_forgotten_and_dropped_whole(
    kafka: str, cluster: EmbeddedCluster, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    shop = Shop(kafka, cluster.url, tmp_path, unique("shop"))
    events = trade(shop.pipeline(TILES), 0, 700)
    shop.send(events)
    shop.commit_as_if_served()
    assert shop.call("backfill", shop.file(TILES)).exit_code == 0
    states = shop.states(TILES)
    assert states == shop.expected(TILES, events)
    users, pairs, buyers = (shop.plan(TILES).namespace(group) for group in shop.plan(TILES).groups)
    found = listed(shop, shop.file(TILES))
    assert found[users][:3] == ["declared", "user", str(len(states["sale_by_user"]))]
    assert found[pairs][1:4] == ["user,", "shop", str(len(states["sale_by_user_shop"]))]
    assert shop.call("forget", shop.file(TILES), "user=u7", "--yes").exit_code == 0
    kept = [event for event in events if "u7" not in (getattr(event, "user", None), getattr(event, "buyer", None))]
    assert shop.states(TILES) == shop.expected(TILES, kept)
    assert shop.call("features", "drop", "--yes", users).exit_code == 0
    assert shop.states(TILES) == shop.expected(TILES, kept) | {"sale_by_user": {}}
    assert shop.call("features", "drop", "--yes", pairs, buyers).exit_code == 0
    assert not {users, pairs, buyers} & listed(shop, "--all").keys()  # other tests' namespaces may be there
