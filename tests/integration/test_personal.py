"""A person's values on a real Kafka and Redis: in no key, topic or log but the sources', whatever command or worker runs."""

import base64
import json
import os
import re
import subprocess
import sys
from typing import Any

import msgspec
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from featurestore import offline
from featurestore.parquet import read_history
from streams.personal import pseudonyms
from streams.vectors import decode_vectors
from tests.integration import shop as shops
from tests.integration.shop import OTHER_KEY, START, TILES, Shop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PERSONAL = {'key="user", id="id", time="at"': 'personal=("user",)', 'key="buyer", id="id", time="at"': 'personal=("buyer",)'}


@pytest.fixture
def shop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """One whose users and buyers are personal."""
    text = shops.TEXT
    for roles, personal in PERSONAL.items():
        assert roles in text
        text = text.replace(roles, f"{roles}, {personal}")
    monkeypatch.setattr(shops, "TEXT", text)
    return shop


def mail(number: int) -> str:
    return f"u{number}@example.org"


def trade(shop: Shop, first: int, last: int) -> list[Any]:
    """As the shop's, with people whose names are found again wherever they are."""
    events = []
    for event in shops.trade(shop.pipeline(TILES), first, last):
        name = getattr(event, "user", None) or getattr(event, "buyer", None)
        field = "user" if hasattr(event, "user") else "buyer"
        events.append(msgspec.structs.replace(event, **{field: name and f"{name}@example.org"}))
    return events


def everything(shop: Shop, topic: str) -> list[bytes]:
    """Keys, values and headers of all records of a topic, uncompressed, base64 undone."""
    tps = shop.facts().partitions([topic])
    ends, out = shop.facts().ends(tps), []
    consumer = Consumer({"bootstrap.servers": shop.kafka, "group.id": "grep", "enable.auto.commit": False})
    for tp, end in ends.items():
        consumer.assign([TopicPartition(*tp, 0)])
        while end and consumer.position([TopicPartition(*tp)])[0].offset < end:
            for message in consumer.consume(500, timeout=5):
                assert not message.error()
                out += [message.key() or b"", message.value() or b"", repr(message.headers()).encode()]
                out.append(base64.b64decode(json.loads(message.value()).get("payload") or "") if "dead" in topic else b"")
    consumer.close()
    return out


def served(shop: Shop) -> dict[str, bytes]:
    """The vector of each event id."""
    out = {}
    for _, _, value in shop.records(f"{shop.name}.features"):
        batch = decode_vectors(value)
        rows = batch["vector"].flatten().to_numpy().reshape(len(batch), -1)
        out |= {id: row.tobytes() for id, row in zip(batch["event_id"].to_pylist(), rows, strict=True)}
    return out


def history(shop: Shop, events: list[Any]) -> offline.History:
    """What training computes from the same events in Parquet."""
    plan = shop.plan(TILES)
    hashing = pseudonyms(shop.settings, shop.pipeline(TILES), plan)
    kinds = list(dict.fromkeys(type(event).__name__ for event in events))
    read = [event for event in plan.events if event.__name__ in kinds]
    return offline.compute(plan, read_history(shop.write_history(events), read, pseudonyms=hashing))


def test_nothing_but_the_sources_holds_a_raw_value_and_vectors_are_those_of_training(
    shop: Shop, redis_client: redis.Redis
) -> None:
    """One entity's sales one after the other, so that what is online and offline does not depend on partitions; then a crowd."""
    shop.deploy()
    log = shop.start_worker(TILES)
    alone = [msgspec.structs.replace(event, user=mail(77)) for event in trade(shop, 0, 210) if hasattr(event, "shop")]
    shop.send(alone)
    shop.wait_until_committed()
    offline_rows = history(shop, alone)
    ids = [event.id for event in offline_rows.events]
    assert served(shop) == {id: row.tobytes() for id, row in zip(ids, offline_rows.served.vectors, strict=True)}
    crowd = trade(shop, 210, 910)
    shop.send(crowd)
    sale = shop.pipeline(TILES).score
    broken = msgspec.to_builtins(alone[0]) | {"amount": -1}
    producer = Producer({"bootstrap.servers": shop.kafka})
    producer.produce(f"{shop.name}.sales", key=mail(5), value=json.dumps(broken))
    producer.produce(f"{shop.name}.sales", key=mail(6), value=b"no JSON: " + mail(5).encode())
    odd = sale(id="odd", user="unknown", shop="m1", amount=1.0, at=START + 600)
    producer.produce(f"{shop.name}.sales", key="key of u5@example.org", value=msgspec.json.encode(odd))
    assert producer.flush(30) == 0
    shop.wait_until_committed()
    assert history(shop, alone + crowd).states == shop.states(TILES)
    outputs = [f"{shop.name}.{kind}" for kind in ("predictions", "features", "dead-letters")]
    for topic in [*outputs, "tidegate.deployments", "tidegate.audit"]:
        found = everything(shop, topic)
        assert found or topic == "tidegate.audit"
        assert not [one for one in found if b"example.org" in one], topic
    letters = [json.loads(value) for _, _, value in shop.records(f"{shop.name}.dead-letters")]
    assert {(letter["reason"], letter["payload"]) for letter in letters} == {("contract", None), ("malformed", None)}
    keys = {message["key"] for _, _, value in shop.records(f"{shop.name}.predictions") for message in [json.loads(value)]}
    assert {"unknown", None} < keys
    assert len(keys) > 30
    stored = [*redis_client.keys("*"), *(redis_client.hgetall("tidegate:namespaces").values())]
    assert len(stored) > 100
    assert not [one for one in stored if b"example.org" in one]
    assert "example.org" not in log()


def test_backfills_of_both_kinds_fill_what_workers_would_have(shop: Shop) -> None:
    events = trade(shop, 0, 700)
    shop.send(events)
    shop.commit_as_if_served()
    assert shop.call("backfill", shop.file(TILES)).exit_code == 0
    whole = history(shop, events).states
    assert shop.states(TILES) == whole
    assert shop.call("backfill", shop.file(12), "--from", str(shop.write_history(events))).exit_code == 0
    for group, states in shop.states(12).items():
        assert set(states) == set(whole[group])


def test_a_person_is_shown_and_forgotten_by_the_raw_value(shop: Shop) -> None:
    events = trade(shop, 0, 700)
    shop.send(events)
    shop.commit_as_if_served()
    assert shop.call("backfill", shop.file(TILES)).exit_code == 0
    shown = shop.call("features", "show", shop.file(TILES), f"user={mail(7)}", "--at", "2023-11-14T22:19:00")
    assert shown.exit_code == 0, shown.output
    assert "sale_by_user  (newest event" in shown.output
    assert "refund_by_buyer  (newest event" in shown.output
    nobody = shop.call("features", "show", shop.file(TILES), "user=nobody@example.org")
    assert "sale_by_user  (no event" in nobody.output
    forgotten = shop.call("forget", shop.file(TILES), f"user={mail(7)}", "--yes")
    assert forgotten.exit_code == 0, forgotten.output
    without = [event for event in events if mail(7) not in (getattr(event, "user", None), getattr(event, "buyer", None))]
    assert shop.states(TILES) == history(shop, without).states
    assert shop.call("backfill", shop.file(12)).exit_code == 0
    assert {group: len(states) for group, states in shop.states(12).items()} == {
        group: len(states) for group, states in shop.states(TILES).items()
    }
    assert not [one for one in everything(shop, "tidegate.audit") if b"example.org" in one]


def test_the_key_is_needed_and_must_be_the_same(shop: Shop) -> None:
    shop.send(trade(shop, 0, 100))
    shop.commit_as_if_served()
    file = shop.file(TILES)
    missing = shop.call("backfill", file, TIDEGATE_HASH_KEY=None)
    assert (missing.exit_code, "TIDEGATE_HASH_KEY is not set" in missing.output) == (1, True)
    assert "openssl rand -hex 32" in missing.output
    assert shop.call("backfill", file).exit_code == 0
    (shop.folder / "history").mkdir()
    for command in (
        ("features", "show", file, f"user={mail(7)}"),
        ("forget", file, f"user={mail(7)}", "--yes"),
        ("train", file, "--data", str(shop.folder / "history")),
        ("backfill", file),
    ):
        other = "under another TIDEGATE_HASH_KEY|is not the key that"  # forget meets the acts of other tests first
        for key, words in ((None, "TIDEGATE_HASH_KEY is not set"), (OTHER_KEY, other)):
            refused = shop.call(*command, TIDEGATE_HASH_KEY=key)
            assert refused.exit_code == 1, command
            assert re.search(words, refused.output), refused.output
    for key, words in ((None, "TIDEGATE_HASH_KEY is not set"), (OTHER_KEY, "filled under another TIDEGATE_HASH_KEY")):
        environment = {name: value for name, value in (os.environ | shop.environment).items() if name != "TIDEGATE_HASH_KEY"}
        worker = subprocess.run(
            [sys.executable, "-m", "streams.cli", "worker", file, "--web-port", "0"],
            env=environment | ({} if key is None else {"TIDEGATE_HASH_KEY": key}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (worker.returncode, words in worker.stderr) == (1, True), worker.stderr
