"""What a log may hold and lose: odd headers, transactions' markers, deleted records, a topic created anew."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.integration.odd_records import send_no_text_header, send_transaction
from tests.integration.transport_world import World, until
from tests.integration.transport_world import world as make_world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Make = Callable[..., str]
NOW = 1_700_000_000_000


@pytest.fixture
def world(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> Iterator[World]:
    yield from make_world(kafka, unique("group"), tmp_path)


def end_offset(kafka: str, topic: str) -> int:
    admin, tp = AdminClient({"bootstrap.servers": kafka}), TopicPartition(topic, 0)
    return int(admin.list_offsets({tp: OffsetSpec.latest()})[tp].result(timeout=30).offset)


@pytest.mark.parametrize("codec", [None, "lz4"])
def test_a_header_key_that_is_no_text_stops_nothing(world: World, kafka: str, make_topic: Make, codec: str | None) -> None:
    """aiokafka's parser raises in mid-batch; the records before, the record itself and those after are handled, each once."""
    topic = make_topic("source", partitions=2)
    world.fill(topic, 1, [NOW] * 50)
    send_no_text_header(kafka, topic, before=3, after=4, codec=codec)
    world.fill(topic, 0, [NOW] * 5)
    worker = world.start([topic], settings={"max_chunk_events": 2})
    until(lambda: world.count() == 8 + 5 + 50, "all handled")
    assert world.handled() == {(topic, 0): list(range(13)), (topic, 1): list(range(50))}
    headers = [headers for event in world.events("begin") if event["partition"] == 0 for headers in event["headers"]]
    assert headers[2:5] == [[["traceparent", "00-aa"]], [["\\xff\\xfe", "value"]], [["traceparent", "00-aa"]]]
    assert worker.poll() is None


@pytest.mark.parametrize("abort", [False, True])
def test_lag_reaches_zero_behind_a_transaction(world: World, kafka: str, make_topic: Make, abort: bool) -> None:
    """A transaction ends in a marker; the offset committed is the one behind it, though no record of ours lies there."""
    topic = make_topic("source", partitions=1)
    world.start([topic])
    until(lambda: world.events("assigned"), "assigned")
    send_transaction(kafka, topic, [b"1", b"2", b"3"], abort=abort)
    until(lambda: end_offset(kafka, topic) == 4, "the marker is written")
    until(lambda: world.committed(topic, 1) == [4], "committed up to the end")
    assert world.count() == (0 if abort else 3)


def test_a_marker_is_not_committed_before_the_records_below_it(world: World, kafka: str, make_topic: Make) -> None:
    """The position is ahead of a chunk that is under way, and of records that wait."""
    topic = make_topic("source", partitions=1)
    send_transaction(kafka, topic, [b"1", b"2", b"3"])
    world.start([topic], gate=str(world.gate), timer=True, settings={"max_chunk_events": 1, "commit_interval_seconds": 0.1})
    until(lambda: world.events("begin"), "in the first chunk")
    until(lambda: len(world.events("timer")) > 5, "commits' time has come several times")
    assert world.committed(topic, 1) == [0]
    world.gate.touch()
    until(lambda: world.committed(topic, 1) == [4], "committed up to the end")


def test_records_deleted_before_they_were_read_are_told(world: World, kafka: str, make_topic: Make) -> None:
    """Retention took what the group had not read: the worker says which offsets, and goes on with what is left."""
    topic = make_topic("source", partitions=1)
    world.fill(topic, 0, [NOW] * 100)
    world.commit(topic, 0, 20)
    admin, tp = AdminClient({"bootstrap.servers": kafka}), TopicPartition(topic, 0, 60)
    admin.delete_records([tp])[tp].result(timeout=30)
    worker = world.start([topic])
    until(lambda: world.count() == 40, "the rest is handled")
    until(lambda: world.committed(topic, 1) == [100], "and committed")
    worker.send_signal(signal.SIGTERM)
    code, said = world.end(worker)
    assert code == 0
    assert f"{topic}[0]: Kafka deleted the records 20 to 59 before they were read" in said
    assert world.handled() == {(topic, 0): list(range(60, 100))}


def test_a_position_beyond_the_end_stops_the_worker(world: World, make_topic: Make) -> None:
    """aiokafka would go back to the start without a word, and everything below the position be trimmed as read."""
    topic = make_topic("source", partitions=1)
    world.fill(topic, 0, [NOW] * 100)
    world.commit(topic, 0, 1000)
    code, said = world.end(world.start([topic]))
    assert code == 1
    assert f"The worker stopped: {topic}[0] ends at 100, but 1000 is next to be read: the topic was created anew" in said
    assert "tidegate features drop NAMESPACE ... removes them) and the commits: kafka-consumer-groups.sh" in said
    assert f"--delete-offsets --group {world.app} --topic {topic}" in said
    assert world.events("begin") == []


def test_a_topic_created_anew_is_a_new_assignment(world: World, kafka: str, make_topic: Make) -> None:
    """The flow is asked again where to start, with nothing committed; it compares fences and topic id with the new log."""
    topic = make_topic("source", partitions=1)
    world.fill(topic, 0, [NOW] * 100)
    world.start([topic], settings={"extra": {"consumer_metadata_max_age_ms": 1000}})
    until(lambda: world.committed(topic, 1) == [100], "all read")
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.delete_topics([topic])[topic].result(timeout=30)
    until(lambda: world.events("revoked"), "the worker noticed")
    admin.create_topics([NewTopic(topic, 1, 1, config={"retention.ms": "-1"})])[topic].result(timeout=30)
    world.fill(topic, 0, [NOW] * 10)
    until(lambda: world.handled()[topic, 0] == [*range(100), *range(10)], "the new log is read from its start")
    once = {"0": None}
    assert [event["committed"] for event in world.events("assigned")] in ([once, {}, once], [once, once])  # none in between
