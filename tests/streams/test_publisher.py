"""Publishing: all records acknowledged, or an error that names the topic."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from streams.errors import PublishError, RecordTooLarge, TopicsMissing
from streams.publisher import KafkaPublisher, MemoryPublisher, Outgoing, Publisher
from streams.sender import _Line
from streams.topics import TopicSpec, ensure_topics, output_topic

Make = Callable[..., str]
integration = pytest.mark.integration


def publish(publisher: Publisher, *batches: Outgoing) -> None:
    async def scenario() -> None:
        try:
            await asyncio.wait_for(publisher.publish(batches), 60)
        finally:
            await publisher.close()

    asyncio.run(scenario())


def read(kafka: str, topic: str, partition: int) -> list[tuple[bytes | None, bytes | None]]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "reader"})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: list[tuple[bytes | None, bytes | None]] = []
    while len(found) < end:
        messages = consumer.consume(end - len(found), timeout=20)
        assert messages, "the broker holds fewer records than its end offset says"
        found += [(message.key(), message.value()) for message in messages]
    consumer.close()
    return found


def test_memory_keeps_what_was_published() -> None:
    memory = MemoryPublisher()
    publish(memory, Outgoing("a", [b"k", None], [b"1", b"2"]), Outgoing("b", [b"k"], [b"3"]))
    assert memory.records == [("a", b"k", b"1"), ("a", None, b"2"), ("b", b"k", b"3")]
    assert memory.values("a") == [b"1", b"2"]


def test_keys_and_values_run_in_parallel() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        publish(MemoryPublisher(), Outgoing("a", [b"k"], [b"1", b"2"]))


@integration
def test_every_record_arrives_in_order_per_key(kafka: str, make_topic: Make) -> None:
    one, two = make_topic("one", partitions=3), make_topic("two")
    keys = [b"key-%d" % (n % 7) for n in range(3000)]
    values = [b"%d" % n for n in range(3000)]
    publish(KafkaPublisher(kafka), Outgoing(one, keys, values), Outgoing(two, [None] * 10, values[:10]))
    found = [record for partition in range(3) for record in read(kafka, one, partition)]
    assert sorted(found, key=lambda r: int(r[1] or b"")) == list(zip(keys, values, strict=True))
    for key in set(keys):
        of_key = [int(v or b"") for k, v in found if k == key]
        assert of_key == sorted(of_key)
    assert [v for _, v in read(kafka, two, 0)] == values[:10]


@integration
def test_keys_go_where_java_and_faust_send_them(kafka: str, make_topic: Make) -> None:
    from aiokafka.partitioner import murmur2

    topic = make_topic("hashed", partitions=4)
    keys = [b"flight-%d" % n for n in range(200)]
    publish(KafkaPublisher(kafka), Outgoing(topic, keys, keys))
    for partition in range(4):
        for key, _ in read(kafka, topic, partition):
            assert (murmur2(key) & 0x7FFFFFFF) % 4 == partition


@integration
def test_a_record_the_client_refuses_as_too_large(kafka: str, make_topic: Make) -> None:
    topic = make_topic("small")
    with pytest.raises(RecordTooLarge, match=rf"{topic} failed: a record of 5000 bytes .* raise max.message.bytes"):
        publish(KafkaPublisher(kafka, max_message_bytes=2000), Outgoing(topic, [None, None], [b"x" * 5000, b"ok"]))


@integration
def test_a_record_the_broker_refuses_as_too_large(kafka: str, make_topic: Make) -> None:
    """The failure lies in the first of two batches; the last record is delivered, the call must raise all the same."""
    topic = make_topic("small", **{"max.message.bytes": "2000"})
    publisher = KafkaPublisher(kafka, config={"batch.num.messages": 1})
    with pytest.raises(RecordTooLarge, match=topic) as caught:
        publish(publisher, Outgoing(topic, [None, None], [os.urandom(5000), b"ok"]))
    assert caught.value.size_bytes == 5000


@integration
def test_records_that_a_topic_takes_one_by_one_arrive(kafka: str, make_topic: Make) -> None:
    """max.message.bytes bounds a batch: together these records are refused, and would be for ever."""
    topic = make_topic("narrow", **{"max.message.bytes": "20000"})
    values = [os.urandom(300) for _ in range(1000)]

    async def scenario() -> None:
        publisher = KafkaPublisher(kafka)
        try:
            await asyncio.wait_for(publisher.publish([Outgoing(topic, [None] * 1000, values)]), 60)
            await asyncio.wait_for(publisher.publish([Outgoing(topic, [None] * 1000, values)]), 60)
        finally:
            await publisher.close()

    asyncio.run(scenario())
    assert sorted(v or b"" for _, v in read(kafka, topic, 0)) == sorted(2 * values)


@integration
@pytest.mark.parametrize("refusing", ["client", "broker"])
def test_what_stands_for_a_record_that_is_too_large_is_published(kafka: str, make_topic: Make, refusing: str) -> None:
    """Records 1 and 3 are too large; 1 and 3 are equal, which must not confuse their places."""
    limit = "2000" if refusing == "broker" else "1000000"
    topic, letters = make_topic("narrow", **{"max.message.bytes": limit}), make_topic("letters")
    large = os.urandom(5000)
    values = [b"a", large, b"b", large]
    asked: list[int] = []

    def instead(place: int) -> list[Outgoing]:
        asked.append(place)
        return [Outgoing(letters, [b"k"], [b"letter %d" % place])]

    publisher = KafkaPublisher(kafka, max_message_bytes=1_000_000 if refusing == "broker" else 2000)
    publish(publisher, Outgoing(topic, [b"k"] * 4, values, instead))
    assert asked == [1, 3]
    assert sorted(v or b"" for _, v in read(kafka, topic, 0)) == [b"a", b"b"]
    assert [v for _, v in read(kafka, letters, 0)] == [b"letter 1", b"letter 3"]


@integration
def test_what_stands_for_a_record_may_be_too_large_as_well(kafka: str, make_topic: Make) -> None:
    topic = make_topic("narrow", **{"max.message.bytes": "2000"})
    large = os.urandom(5000)
    with pytest.raises(RecordTooLarge, match=topic):
        publish(KafkaPublisher(kafka), Outgoing(topic, [None], [large], lambda _: [Outgoing(topic, [None], [large])]))


@integration
def test_an_absent_topic_is_an_error(kafka: str, topic_name: str) -> None:
    publisher = KafkaPublisher(kafka, config={"topic.metadata.propagation.max.ms": 500})
    with pytest.raises(PublishError, match=f"{topic_name} failed: there is no such topic .* start it again"):
        publish(publisher, Outgoing(topic_name, [None], [b"x"]))


@integration
def test_a_full_queue_is_waited_for(kafka: str, make_topic: Make) -> None:
    topic = make_topic("queued")
    publisher = KafkaPublisher(kafka, config={"queue.buffering.max.messages": 50})
    values = [b"%d" % n for n in range(1000)]
    publish(publisher, Outgoing(topic, [None] * 1000, values))
    assert sorted(v or b"" for _, v in read(kafka, topic, 0)) == sorted(values)


def test_an_unreachable_broker_is_an_error_in_time() -> None:
    publisher = KafkaPublisher("127.0.0.1:1", delivery_timeout_seconds=1.0)
    with pytest.raises(PublishError, match="stay uncommitted"):
        publish(publisher, Outgoing("t", [None], [b"x"]))


def test_closing_does_not_wait_for_a_broker_that_is_away() -> None:
    """What is queued belongs to a call that was given up; a worker's last seconds are for its commits."""

    async def scenario() -> None:
        publisher = KafkaPublisher("127.0.0.1:1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(publisher.publish([Outgoing("t", [None], [b"x"])]), 0.2)
        await asyncio.wait_for(publisher.close(), 20)  # a delivery is waited for for 300

    asyncio.run(scenario())


@integration
@pytest.mark.parametrize("queue", [10, 500_000])
def test_a_producer_that_is_stuck_is_replaced(
    kafka: str, make_topic: Make, queue: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It knows no way to the leader though there is one; two calls wait for it, and all their records come, in order."""
    monkeypatch.setattr("streams.sender.STUCK_SECONDS", 0.5)
    topic = make_topic("stuck")
    values = [[b"%d-%d" % (call, n) for n in range(100)] for call in range(2)]

    async def scenario() -> None:
        publisher = KafkaPublisher(kafka, config={"queue.buffering.max.messages": queue})
        sender = publisher._together
        sender._line.end()
        sender._line = _Line({**sender._settings, "bootstrap.servers": "127.0.0.1:1"})
        try:
            calls = [publisher.publish([Outgoing(topic, [b"k"] * 100, found)]) for found in values]
            await asyncio.wait_for(asyncio.gather(*calls), 60)
        finally:
            await publisher.close()

    asyncio.run(scenario())
    found = [value or b"" for _, value in read(kafka, topic, 0)]
    assert [[value for value in found if value.startswith(b"%d-" % call)] for call in range(2)] == values
    assert "publishing by a new producer" in caplog.text


@pytest.fixture
def names(unique: Callable[[str], str]) -> tuple[str, str]:
    return unique("first"), unique("second")


@integration
def test_missing_topics_are_created_with_their_settings(kafka: str, names: tuple[str, str]) -> None:
    first, second = names
    specs = [output_topic(first, 3, retention_ms="60000"), TopicSpec(second)]
    assert sorted(ensure_topics(kafka, specs)) == sorted(names)
    assert ensure_topics(kafka, specs) == []
    admin = AdminClient({"bootstrap.servers": kafka})
    assert len(admin.list_topics(first, timeout=20).topics[first].partitions) == 3
    resource = ConfigResource(ResourceType.TOPIC, first)
    config = admin.describe_configs([resource])[resource].result(timeout=20)
    assert config["message.timestamp.type"].value == "LogAppendTime"
    assert config["retention.ms"].value == "60000"


@integration
def test_topics_that_cannot_be_created_are_named(kafka: str, make_topic: Make) -> None:
    present = make_topic("present")
    with pytest.raises(TopicsMissing) as caught:
        ensure_topics(kafka, [TopicSpec(present), TopicSpec("not a name")])
    assert caught.value.names == ("not a name",)


@integration
def test_a_race_for_the_same_topic_is_fine(kafka: str, topic_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process created it between the look and the creation."""
    from streams import topics

    ensure_topics(kafka, [TopicSpec(topic_name)])
    look, looks = topics.existing, []

    def blind_once(admin: AdminClient, timeout_seconds: float) -> set[str]:
        looks.append(1)
        return set() if len(looks) == 1 else look(admin, timeout_seconds)

    monkeypatch.setattr(topics, "existing", blind_once)
    assert ensure_topics(kafka, [TopicSpec(topic_name)]) == []
