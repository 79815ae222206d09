"""What the lag monitor says of groups on a real Kafka: seconds by the broker's time, verdicts, and what is gone is gone."""

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from monitors.lag import Status
from streams.embedded import Stack
from streams.lag.heads import PARTITION_BYTES, ROUNDS
from streams.lag.watch import GAP_INTERVALS
from tests.integration.lag_world import INTERVAL_SECONDS, LagWorld, found, wheres
from tests.integration.odd_records import send_no_text_header, send_transaction

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
CLOSE_SECONDS = 0.5  # between a look and the moment it is compared with
WINDOW_SECONDS = 61.0


@pytest.fixture
def world(kafka: str, make_topic: Callable[..., str], unique: Callable[[str], str]) -> Iterator[LagWorld]:
    made = LagWorld(kafka, make_topic, unique("lag"))
    yield made
    made.close()


def test_seconds_are_the_age_of_the_record_at_the_committed_offset(world: LagWorld) -> None:
    """Bursts 0.6 s apart: whoever stands in the first is that much older, whatever the number of records."""
    topic = world.topic()
    world.send(topic, 500)
    time.sleep(0.6)
    world.send(topic, 20)
    times = world.append_times(topic)
    assert times[510] - times[10] > 0.5
    for offset in (10, 510):
        world.commit("reader", {(topic, 0): offset})
        seen = world.seen("reader", topic)
        assert seen.lag_seconds == pytest.approx(time.time() - times[offset], abs=CLOSE_SECONDS)
        assert (seen.lag_records, seen.producer_time, seen.retention_used) == (520 - offset, False, 0.0)  # kept for ever


def test_caught_up_is_zero_however_old_the_topic_is(world: LagWorld) -> None:
    topic = world.topic(partitions=2)
    world.send(topic, 5)
    world.commit("reader", {(topic, 0): 5})
    world.ahead_seconds = 3600.0
    seen = world.seen("reader", topic)
    assert (seen.lag_records, seen.lag_seconds, seen.status) == (0, 0.0, Status.OK)
    other = world.seen("reader", topic, 1)
    assert (other.committed, other.lag_records, other.lag_seconds, other.status) == (None, None, None, Status.UNKNOWN)


def test_groups_at_different_offsets_of_one_batch(world: LagWorld) -> None:
    topic, now = world.topic(producer_time=True), time.time()
    world.send_of_times(topic, [now - 300, now - 200, now - 100])
    for number in range(4):
        world.commit(f"reader{number}", {(topic, 0): number})
    snapshot = world.look()
    lags = [found(snapshot, world.name(f"reader{number}"), topic).lag_seconds for number in range(4)]
    assert lags == pytest.approx([300, 200, 100, 0], abs=5)


def test_a_group_sent_back_is_rewound(world: LagWorld) -> None:
    topic = world.topic()
    world.send(topic, 50)
    world.commit("reader", {(topic, 0): 50})
    assert world.seen("reader", topic).status is Status.OK
    world.commit("reader", {(topic, 0): 10})
    assert world.seen("reader", topic).status is Status.REWOUND


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_stalled_while_a_member_has_the_partition_and_stopped_when_none_has(world: LagWorld, protocol: str) -> None:
    """By both of Kafka's group protocols; before it commits, its partitions are shown as unknown."""
    topic = world.topic()
    world.send(topic, 9)
    consumer = world.member("reader", topic, protocol)
    assert world.seen("reader", topic).status is Status.UNKNOWN
    consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    assert world.seen("reader", topic).status is Status.UNKNOWN
    world.ahead_seconds += WINDOW_SECONDS
    seen = world.seen("reader", topic)
    assert (seen.status, seen.records_per_second) == (Status.STALLED, 0.0)
    assert seen.head_of_line_seconds >= WINDOW_SECONDS
    consumer.close()
    assert world.seen("reader", topic).status is Status.STOPPED


def test_nothing_is_concluded_from_a_time_without_looks(world: LagWorld) -> None:
    """Kafka was away: a group could not commit, and a look was not answered."""
    topic = world.topic()
    world.send(topic, 9)
    world.commit("reader", {(topic, 0): 4})
    world.look()
    world.ahead_seconds += GAP_INTERVALS * INTERVAL_SECONDS + 1
    assert world.seen("reader", topic).status is Status.UNKNOWN
    world.ahead_seconds += WINDOW_SECONDS
    assert world.seen("reader", topic).status is Status.STOPPED


def test_series_of_deleted_groups_and_topics_are_gone_in_the_next_look(world: LagWorld) -> None:
    topic, doomed = world.topic(), world.topic()
    for group in ("stays", "goes"):
        world.commit(group, {(topic, 0): 0, (doomed, 0): 0})
    assert len(wheres(world.look())) == 4
    world.delete_groups("goes")
    assert wheres(world.look()) == sorted([(world.name("stays"), topic, 0), (world.name("stays"), doomed, 0)])
    world.delete_topic(doomed)
    assert wheres(world.look()) == [(world.name("stays"), topic, 0)]


def test_a_topic_created_anew_is_another_one(world: LagWorld) -> None:
    """The same group, at the same offset: what was known of the old record is not said of the new one."""
    topic = world.topic()
    world.send(topic, 9)
    world.commit("reader", {(topic, 0): 3})
    world.ahead_seconds += 1000.0
    assert (world.seen("reader", topic).lag_seconds or 0) > 999
    world.delete_topic(topic)
    config = {"message.timestamp.type": "CreateTime"}
    world.admin.create_topics([NewTopic(topic, 1, 1, config=config)])[topic].result(30)
    world.until(lambda: topic in world.admin.list_topics(timeout=30).topics)
    world.send_of_times(topic, [time.time() + 990] * 5)
    world.commit("reader", {(topic, 0): 3})
    seen = world.seen("reader", topic)
    assert (seen.end, seen.lag_seconds) == (5, pytest.approx(10.0, abs=CLOSE_SECONDS))


def test_records_deleted_unread_are_told_and_the_next_one_is_the_oldest(world: LagWorld) -> None:
    topic = world.topic(**{"retention.ms": "1000000"})
    for _ in range(3):
        world.send(topic, 3)
    world.commit("reader", {(topic, 0): 1})
    world.ahead_seconds = 500.0
    assert world.seen("reader", topic).retention_used == pytest.approx(0.5, abs=0.01)
    world.admin.delete_records([TopicPartition(topic, 0, 6)])[TopicPartition(topic, 0, 6)].result(30)
    seen, times = world.seen("reader", topic), world.append_times(topic, 6)
    assert (seen.start, seen.lost_records, seen.lag_records, seen.retention_used) == (6, 5, 3, 1.0)
    assert seen.lag_seconds == pytest.approx(time.time() + 500 - times[0], abs=CLOSE_SECONDS)
    world.admin.delete_records([TopicPartition(topic, 0, 9)])[TopicPartition(topic, 0, 9)].result(30)
    gone = world.seen("reader", topic)
    assert (gone.lost_records, gone.lag_records, gone.lag_seconds, gone.retention_used) == (8, 0, 0.0, 1.0)


def test_a_topic_kept_by_size_alone_has_no_known_share_of_retention(world: LagWorld) -> None:
    topic = world.topic(**{"retention.bytes": "1000000"})
    world.send(topic, 3)
    world.commit("reader", {(topic, 0): 1})
    assert world.seen("reader", topic).retention_used is None


def test_markers_of_transactions_are_no_lag(world: LagWorld) -> None:
    """Offset 2 is a marker, 3 to 6 were taken back; then a record that a transaction has not decided on."""
    topic = world.topic()
    send_transaction(world.kafka, topic, [b"a", b"b"])
    world.commit("reader", {(topic, 0): 2})
    seen = world.seen("reader", topic)
    assert (seen.end, seen.lag_records, seen.lag_seconds, seen.status) == (3, 0, 0.0, Status.OK)
    send_transaction(world.kafka, topic, [b"c", b"d", b"e"], abort=True)
    seen = world.seen("reader", topic)
    assert (seen.end, seen.lag_records, seen.lag_seconds) == (7, 0, 0.0)
    producer = Producer({"bootstrap.servers": world.kafka, "transactional.id": world.word})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"f", partition=0)
    producer.flush(30)
    world.ahead_seconds += 100.0
    seen = world.seen("reader", topic)
    assert (seen.end, seen.lag_records) == (8, 6)
    assert seen.lag_seconds == pytest.approx(100.0, abs=5.0)
    producer.abort_transaction(30)
    world.commit("reader", {(topic, 0): 1})
    assert world.seen("reader", topic).lag_records == 8


def test_producers_times_are_marked_and_the_future_is_no_negative_lag(world: LagWorld) -> None:
    topic = world.topic(producer_time=True, partitions=2)
    world.send_of_times(topic, [time.time() - 7200] * 2)
    world.send_of_times(topic, [time.time() + 3000] * 2, partition=1)
    world.commit("reader", {(topic, 0): 0, (topic, 1): 0})
    snapshot = world.look()
    old, new = (found(snapshot, world.name("reader"), topic, partition) for partition in (0, 1))
    assert old.lag_seconds == pytest.approx(7200, abs=5)
    assert (new.lag_seconds, new.lag_records, new.producer_time) == (0.0, 2, True)
    assert snapshot.topics == {topic: True}


def test_batches_too_large_to_share_a_request_and_batches_that_cannot_be_read(world: LagWorld) -> None:
    """More of them than there are rounds in a look."""
    topic, large = world.topic(partitions=ROUNDS + 5), range(ROUNDS + 5)
    world.send(topic, 3, partitions=large, size=PARTITION_BYTES // 2)
    odd = world.topic()
    send_no_text_header(world.kafka, odd, before=2, after=2)
    world.commit("reader", {(topic, p): 1 for p in large} | {(odd, 0): 3})
    snapshot = world.look()
    for where in [(topic, p) for p in large] + [(odd, 0)]:
        assert 0 < (found(snapshot, world.name("reader"), *where).lag_seconds or 0) < 30


def test_an_offset_beyond_the_log_is_unknown(world: LagWorld) -> None:
    topic = world.topic()
    world.send(topic, 2)
    world.commit("reader", {(topic, 0): 10})
    seen = world.seen("reader", topic)
    assert (seen.status, seen.lag_records, seen.lag_seconds) == (Status.UNKNOWN, None, None)


def test_it_outlives_its_broker_and_leaves_no_trace(unique: Callable[[str], str]) -> None:
    """On a Kafka of its own: nobody committed yet, so that even its own topic of offsets is not there."""
    with Stack.start(redis=False) as stack:
        assert stack.kafka is not None
        world = LagWorld(stack.bootstrap_servers, lambda word, **_: word, unique("lag"))
        try:
            assert wheres(world.look()) == []
            assert not world.admin.list_topics(timeout=30).topics
            config = {"message.timestamp.type": "LogAppendTime"}
            world.admin.create_topics([NewTopic("kept", 1, 1, config=config)])["kept"].result(30)
            world.send("kept", 3)
            world.commit("reader", {("kept", 0): 1})
            before = world.seen("reader", "kept")
            stack.kafka.kill()
            for looks_ago in (1, 2, 3):
                snapshot = world.look_anyhow()
                assert [one.looks_ago for one in snapshot.partitions] == [looks_ago]
                assert (snapshot.failed_looks, snapshot.complete_at is None) == (looks_ago, False)
            assert world.look_anyhow().partitions == ()
            assert world.watcher.error is not None
            stack.kafka.start()
            world.until(lambda: len(world.look_anyhow().partitions) == 1)
            after = world.seen("reader", "kept")
            assert (after.committed, after.looks_ago) == (before.committed, 0)
            assert (after.lag_seconds or 0) > (before.lag_seconds or 0)
            listed = world.admin.list_consumer_groups().result(30).valid
            assert [group.group_id for group in listed] == [world.name("reader")]
            assert set(world.admin.list_topics(timeout=30).topics) == {"kept", "__consumer_offsets"}
        finally:
            world.close()
