"""`tidegate dlq`: what a too narrow contract rejected is counted, sent again once it is widened, and predicted; once only."""

from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.chunk import TP
from streams.dead_letters import HEADER
from streams.outputs import TopicNames
from tests.integration import shop as shops
from tests.integration.shop import START, TILES, Shop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NARROW = "    shop: Annotated[str, Meta(max_length=2)]\n"


def trade(shop: Shop) -> list[Any]:
    """Two hundred events; of the sales every fifth at a shop whose name is longer than anybody expected."""
    events = []
    for number, event in enumerate(shops.trade(shop.pipeline(TILES), 0, 200)):
        long = hasattr(event, "shop") and number % 5 == 0
        events.append(msgspec.structs.replace(event, shop="market") if long else event)
    return events


def messages(shop: Shop, tp: TP) -> list[Any]:
    """All records of a partition with their headers."""
    consumer = Consumer({"bootstrap.servers": shop.kafka, "group.id": "all", "enable.auto.commit": False})
    end, out = shop.facts().ends([tp])[tp], []
    consumer.assign([TopicPartition(*tp, 0)])
    while len(out) < end:
        out += consumer.consume(500, timeout=5)
    consumer.close()
    return out


def test_rejected_records_are_replayed_once_and_predicted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = shops.TEXT
    monkeypatch.setattr(shops, "TEXT", wide.replace("    shop: str\n", NARROW))
    shop.deploy()
    shop.start_worker(TILES)
    events = trade(shop)
    long = {event.id for event in events if getattr(event, "shop", "") == "market"}
    shop.send(events)
    producer = Producer({"bootstrap.servers": shop.kafka})
    at_market = {"id": "traced", "user": "u1", "shop": "market", "amount": 1.0, "at": START + 99}
    producer.produce(
        f"{shop.name}.sales", msgspec.json.encode(at_market), "u1", headers={"traceparent": b"00-" + b"a" * 32 + b"-b-01"}
    )
    producer.produce(f"{shop.name}.sales", b"no JSON", "u1")
    for value in (b"no letter", None, b"{}"):  # somebody else's records, which stop no command
        producer.produce(TopicNames.of(shop.pipeline(TILES).name).dead_letters, value)
    assert producer.flush(30) == 0
    shop.wait_until_committed()
    shop.stop()
    shop.workers.clear()
    assert set(shop.predicted()) == {event.id for event in events if hasattr(event, "shop")} - long

    listed = shop.call("dlq", "list", shop.file(TILES), "--newest", "3")
    assert listed.exit_code == 0, listed.output
    assert [line.split()[:2] for line in listed.output.splitlines() if "records that are no events" in line] == [
        ["contract", str(len(long) + 1)],
        ["malformed", "1"],
    ]
    assert listed.output.count(f"{shop.name}.sales/") == 3
    assert "Expected `str` of length <= 2" in listed.output
    assert "No dead letters" in shop.call("dlq", "list", shop.file(TILES), "--reason", "future").output

    monkeypatch.setattr(shops, "TEXT", wide)
    shop.start_worker(TILES)
    ends = shop.facts().ends(shop.tps())
    asked = shop.call("dlq", "replay", shop.file(TILES), "--reason", "contract")  # nobody answers
    assert (asked.exit_code, f"Send {len(long) + 1} records again ({len(long) + 1} to {shop.name}.sales)?" in asked.output) == (
        1,
        True,
    )
    assert shop.facts().ends(shop.tps()) == ends
    done = shop.call("dlq", "replay", shop.file(TILES), "--reason", "contract", "--yes")
    assert (done.exit_code, f"{len(long) + 1} records sent" in done.output) == (0, True), done.output
    shop.wait_until_committed()
    assert set(shop.predicted()) == {event.id for event in events if hasattr(event, "shop")} | {"traced"}
    assert all(len(ids) == 1 for ids in shop.predicted().values())
    traced = shop.pipeline(TILES).score(**at_market)
    assert shop.states(TILES) == shop.expected(TILES, [*events, traced])

    again = shop.call("dlq", "replay", shop.file(TILES), "--reason", "contract", "--yes")
    assert (again.exit_code, "Nothing to send" in again.output) == (0, True), again.output
    assert f"{len(long) + 1} were replayed before" in again.output
    check_copies(shop, at_market)

    for tp, end in shop.facts().ends(shop.tps()).items():
        shop.delete_records(tp, end)
    gone = shop.call("dlq", "replay", shop.file(TILES), "--reason", "malformed", "--yes")
    assert (gone.exit_code, "1 are gone from Kafka" in gone.output, "Nothing to send" in gone.output) == (0, True, True)


def check_copies(shop: Shop, at_market: dict[str, Any]) -> None:
    """A copy has its original's partition, key, value and headers, and one header more, which names the letter."""
    value = msgspec.json.encode(at_market)
    for tp in shop.tps():
        found = [message for message in messages(shop, tp) if message.value() == value]
        if found:
            original, copy = found
            assert copy.key() == original.key() == b"u1"
            letter = f"{tp.topic}-{tp.partition}-{original.offset()}".encode()
            assert copy.headers() == [*original.headers(), (HEADER, letter)]
            return
    raise AssertionError("the traced sale is nowhere")


def test_what_cannot_be_read_is_told(shop: Shop) -> None:
    found = shop.call("dlq", "list", shop.file(TILES))
    assert (found.exit_code, "there is no topic" in found.output) == (1, True)
    wrong = shop.call("dlq", "list", shop.file(TILES), "--since", "yesterday")
    assert (wrong.exit_code, "write 2026-05-01" in wrong.output) == (2, True)
