"""The transport on a real Kafka: worker processes read, crash, rebalance and stop; numbers are faust pitfalls."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription, MemberDescription

from tests.integration.transport_world import World, until
from tests.integration.transport_world import world as make_world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Make = Callable[..., str]
NOW = 1_700_000_000_000


@pytest.fixture
def world(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> Iterator[World]:
    yield from make_world(kafka, unique("group"), tmp_path)


def filled(world: World, make_topic: Make, partitions: int, events: int) -> str:
    topic = make_topic("source", partitions=partitions)
    for partition in range(partitions):
        world.fill(topic, partition, range(NOW, NOW + events))
    return topic


@pytest.mark.parametrize("joined", [1, 3])
def test_every_record_once_in_order_and_committed(world: World, make_topic: Make, joined: int) -> None:
    """One worker handles all records exactly once and in order; what is done is committed (1, 2)."""
    topic = filled(world, make_topic, partitions=3, events=500)
    worker = world.start([topic], settings={"max_chunk_events": 70, "in_flight": 1, "max_joined": joined})
    until(lambda: world.count() == 1500, "all handled")
    until(lambda: world.committed(topic, 3) == [500] * 3, "the commit timer commits all")
    worker.send_signal(signal.SIGTERM)
    assert world.end(worker) == (0, "")
    assert world.handled() == {(topic, p): list(range(500)) for p in range(3)}
    assert len(world.events("begin")) >= 3 * 8  # 500 records in chunks of 70
    assert any(event["joined"] > 1 for event in world.events("begin")) == (joined > 1)  # what the full ones left


@pytest.mark.parametrize(("in_flight", "joined"), [(2, 1), (1, 2)])
def test_no_partition_has_two_unfinished_chunks_nor_more_are_in_flight(
    world: World, make_topic: Make, in_flight: int, joined: int
) -> None:
    topic = filled(world, make_topic, partitions=4, events=300)
    world.start([topic], settings={"max_chunk_events": 20, "in_flight": in_flight, "max_joined": joined})
    until(lambda: world.count() == 1200, "all handled")
    unfinished: set[int] = set()
    for event in world.events():
        if event["event"] == "begin":
            assert event["partition"] not in unfinished
            unfinished.add(event["partition"])
            assert len(unfinished) <= 2
        elif event["event"] == "end":
            unfinished.remove(event["partition"])


def test_small_chunks_of_a_topic_are_paced_and_full_ones_are_not(world: World, make_topic: Make) -> None:
    topic = make_topic("source", partitions=2)
    world.start([topic], settings={"max_chunk_events": 10, "max_joined": 2, "pace_seconds": 1.5})
    for number in range(4):
        world.fill(topic, number % 2, [NOW])
        until(lambda number=number: world.count() > number, "handled")
    at = [event["at"] for event in world.events("begin")]
    assert all(later - sooner > 1.45 for sooner, later in pairwise(at))
    world.fill(topic, 0, [NOW] * 100)
    until(lambda: world.count() == 104, "all handled")
    assert world.events("end")[-1]["at"] - at[-1] < 9 * 1.5


def test_a_raising_handler_ends_the_worker(world: World, make_topic: Make) -> None:
    """Exit code 1, one sentence, and nothing of the failed chunk is committed (3)."""
    topic = filled(world, make_topic, partitions=2, events=300)
    worker = world.start([topic], settings={"max_chunk_events": 50}, fail_at=[1, 120])
    code, said = world.end(worker)
    assert (code, said) == (1, "The worker stopped: the flow broke\n")
    assert world.committed(topic, 2)[1] == 100


@pytest.mark.parametrize("joined", [1, 4])
def test_a_killed_worker_loses_nothing(world: World, make_topic: Make, joined: int) -> None:
    """Two workers, one killed: every record is handled, and commits never pass undone work."""
    topic = filled(world, make_topic, partitions=4, events=400)
    settings = {"max_chunk_events": 10, "session_timeout_seconds": 6.0, "commit_interval_seconds": 0.1, "max_joined": joined}
    first = world.start([topic], settings=settings, gate=str(world.gate))
    until(lambda: world.events("begin", first.pid), "the first worker is in a chunk")
    world.gate.touch()
    until(lambda: world.count() > 100, "some chunks are done")
    first.kill()
    first.wait()
    done = world.handled()
    for partition, committed in enumerate(world.committed(topic, 4)):
        assert set(range(committed)) <= set(done.get((topic, partition), []))
    second = world.start([topic], settings=settings, gate=str(world.gate))
    until(lambda: world.count() == 1600, "all handled")
    until(lambda: world.committed(topic, 4) == [400] * 4, "all committed")
    second.send_signal(signal.SIGTERM)
    assert world.end(second)[0] == 0


def test_a_rebalance_waits_for_a_running_handler(world: World, kafka: str, make_topic: Make) -> None:
    """A second worker joins while chunks run: they finish, are committed, and are not handled again (5)."""
    topic = filled(world, make_topic, partitions=2, events=10)
    first = world.start([topic], gate=str(world.gate), settings={"drain_seconds": 20.0})
    until(lambda: len(world.events("begin")) == 2, "both partitions in a chunk")
    second = world.start([topic], gate=str(world.gate))
    until(lambda: len(world.events("rebalancing", first.pid)) == 2, "the first worker hears of it")
    heard = time.monotonic()
    until(lambda: time.monotonic() - heard > 1, "it would be through by now")
    assert not world.events("revoked", first.pid)
    world.gate.touch()
    until(lambda: world.events("assigned", second.pid), "the second worker has partitions")
    until(lambda: world.committed(topic, 2) == [10, 10], "all committed")
    assert world.handled() == {(topic, 0): list(range(10)), (topic, 1): list(range(10))}
    until(lambda: world.events("revoked", first.pid), "the first was told")
    for partition in (0, 1):
        world.fill(topic, partition, [NOW] * 5)
    until(lambda: world.count() == 30, "both go on")
    assert {event["pid"] for event in world.events("begin")[2:]} == {first.pid, second.pid}


def described(kafka: str, group: str) -> ConsumerGroupDescription:
    admin = AdminClient({"bootstrap.servers": kafka})
    return admin.describe_consumer_groups([group])[group].result(timeout=30)


def group_state(kafka: str, group: str) -> str:
    return str(described(kafka, group).state.name)


def members(kafka: str, group: str) -> list[MemberDescription]:
    return list(described(kafka, group).members)


def assigned_members(kafka: str, group: str) -> list[MemberDescription]:
    return [member for member in members(kafka, group) if member.assignment.topic_partitions]


def test_a_handler_outliving_the_drain_marks_nothing_done(world: World, make_topic: Make) -> None:
    """The wait on revocation is bounded; the late handler is cancelled and its chunk handled again (5)."""
    topic = filled(world, make_topic, partitions=2, events=10)
    first = world.start([topic], gate=str(world.gate), settings={"drain_seconds": 0.3})
    until(lambda: len(world.events("begin")) == 2, "both partitions in a chunk")
    second = world.start([topic], gate=str(world.gate), settings={"drain_seconds": 0.3})
    until(lambda: len(world.events("cancelled", first.pid)) == 2, "late handlers are cancelled")
    until(lambda: world.events("begin", second.pid), "the second worker begins")
    assert world.committed(topic, 2) == [0, 0]
    world.gate.touch()
    until(lambda: world.committed(topic, 2) == [10, 10], "all committed")
    assert world.count() == 20


def test_recovery_seeks_back_below_the_commit(world: World, make_topic: Make) -> None:
    """on_assigned's word decides where a partition starts; the others start at their commit (7)."""
    topic = filled(world, make_topic, partitions=3, events=100)
    for partition, offset in ((0, 50), (1, 50)):
        world.commit(topic, partition, offset)
    world.start([topic], starts={"0": 20})
    until(lambda: world.count() == 80 + 50 + 100, "all handled")
    assert world.handled() == {
        (topic, 0): list(range(20, 100)),
        (topic, 1): list(range(50, 100)),
        (topic, 2): list(range(100)),
    }
    assert world.events("assigned")[0]["committed"] == {"0": 50, "1": 50, "2": None}
    until(lambda: world.committed(topic, 3) == [100] * 3, "all committed")


def test_records_below_the_start_are_trimmed(world: World, make_topic: Make) -> None:
    """A fetched batch reaches back beyond the seek position (9)."""
    topic = filled(world, make_topic, partitions=1, events=100)  # linger makes this one batch
    world.commit(topic, 0, 37)
    world.start([topic])
    until(lambda: world.count() == 63, "the rest is handled")
    assert world.handled() == {(topic, 0): list(range(37, 100))}


def test_a_refused_assignment_ends_the_worker_with_its_reason(world: World, make_topic: Make) -> None:
    topic = filled(world, make_topic, partitions=1, events=10)
    worker = world.start([topic], refuse="The fence lies beyond the log's end.")
    assert world.end(worker) == (1, "The worker stopped: The fence lies beyond the log's end.\n")
    assert world.events("begin") == []


SHORT = {"session_timeout_seconds": 6.0, "request_timeout_seconds": 7.0}  # Faust gives an assignment 7 s then, and we 5.6


def test_an_assignment_waits_for_the_store_for_as_long_as_it_takes(world: World, make_topic: Make) -> None:
    """Longer than Faust's own limit; nothing is read before, everything after, and a worker ends at once all the same."""
    topic = filled(world, make_topic, partitions=2, events=100)
    worker = world.start([topic], settings=SHORT, away=str(world.gate))
    until(lambda: world.events("assigned"), "the worker asks the store")
    asked = time.monotonic()
    until(lambda: time.monotonic() - asked > 9, "it would have given up by now")
    assert worker.poll() is None
    assert not world.events("begin")
    world.gate.touch()
    until(lambda: world.committed(topic, 2) == [100, 100], "all committed")
    assert world.handled() == {(topic, p): list(range(100)) for p in range(2)}
    assert [event["event"] for event in world.events() if event["event"] in ("assigned", "abandoned")] == ["assigned"]
    world.gate.unlink()
    second = world.start([topic], settings=SHORT, away=str(world.gate))
    until(lambda: world.events("assigned", second.pid), "the second asks the store")
    second.send_signal(signal.SIGTERM)
    assert world.end(second, 10) == (0, "")


def test_a_rebalance_gets_through_while_the_store_is_away(world: World, make_topic: Make) -> None:
    """What waited for the store is abandoned, and asked again for what is assigned then; before Faust's limit and after it."""
    topic = filled(world, make_topic, partitions=4, events=100)
    first = world.start([topic], settings=SHORT, away=str(world.gate))
    until(lambda: world.events("assigned", first.pid), "the first worker asks the store")
    asked = time.monotonic()
    until(lambda: time.monotonic() - asked > 8, "it waits beyond the limit")
    second = world.start([topic], settings=SHORT, away=str(world.gate))
    until(lambda: world.events("assigned", second.pid), "the second worker is in")
    until(lambda: len(world.events("assigned", first.pid)) == 2, "the first asks anew")
    third = world.start([topic], settings=SHORT, away=str(world.gate))
    until(lambda: world.events("assigned", third.pid), "the third worker is in, within the limit")
    assert len(world.events("abandoned", first.pid)) == 2
    assert not world.events("begin")
    world.gate.touch()
    until(lambda: world.committed(topic, 4) == [100] * 4, "all committed")
    assert world.handled() == {(topic, p): list(range(100)) for p in range(4)}
    assert {event["pid"] for event in world.events("end")} == {first.pid, second.pid, third.pid}


def test_the_hook_bounds_the_commit(world: World, make_topic: Make) -> None:
    topic = filled(world, make_topic, partitions=1, events=100)
    worker = world.start([topic], hold=60, settings={"max_chunk_events": 10})
    until(lambda: world.count() == 100, "all handled")
    until(lambda: world.committed(topic, 1) == [60], "committed as far as allowed")
    worker.send_signal(signal.SIGTERM)
    assert world.end(worker)[0] == 0
    assert world.committed(topic, 1) == [60]


def test_the_oldest_chunk_of_all_topics_is_next(world: World, make_topic: Make) -> None:
    """In a backlog no partition leads the slowest by more than the declared lead (10)."""
    fast, slow = make_topic("fast", partitions=2), make_topic("slow", partitions=1)
    world.fill(fast, 0, range(NOW, NOW + 600_000, 200))
    world.fill(fast, 1, range(NOW, NOW + 600_000, 1000))
    world.fill(slow, 0, range(NOW, NOW + 600_000, 5000))
    lead = {fast: 30.0, slow: 30.0}
    world.start([fast, slow], settings={"max_chunk_events": 100, "in_flight": 1, "max_lead_seconds": lead})
    until(lambda: world.count() == 3000 + 600 + 120, "all handled")
    step = {(fast, 0): 200, (fast, 1): 1000, (slow, 0): 5000}
    position = dict.fromkeys(step, NOW)
    for event in world.events("begin"):
        assert event["newest"] <= min(position.values()) + 30_000 + max(step.values())
        tp = (event["topic"], event["partition"])
        position[tp] = NOW + (event["offsets"][-1] + 1) * step[tp]
        if position[tp] >= NOW + 600_000:
            position[tp] = NOW + 10**9  # has no more records


def test_sigterm_lets_a_chunk_finish(world: World, make_topic: Make) -> None:
    """The chunk under way ends, is committed, and the exit code is 0."""
    topic = filled(world, make_topic, partitions=1, events=100)
    worker = world.start([topic], gate=str(world.gate), settings={"max_chunk_events": 10})
    until(lambda: world.events("begin"), "in a chunk")
    worker.send_signal(signal.SIGTERM)
    until(lambda: psutil.Process(worker.pid).status() != psutil.STATUS_ZOMBIE, "alive")
    world.gate.touch()
    assert world.end(worker) == (0, "")
    handled = world.count()
    assert handled == world.committed(topic, 1)[0]
    assert 10 <= handled < 100


def test_the_drain_on_sigterm_is_bounded(world: World, make_topic: Make) -> None:
    """A chunk that does not end is given up, uncommitted (18)."""
    topic = filled(world, make_topic, partitions=1, events=10)
    worker = world.start([topic], gate=str(world.gate), settings={"drain_seconds": 0.5})
    until(lambda: world.events("begin"), "in a chunk")
    worker.send_signal(signal.SIGTERM)
    assert world.end(worker)[0] == 0, "it would be 1 if the worker had been ended hard, after its drain"
    assert world.committed(topic, 1) == [0]


def test_sigterm_does_not_wait_for_a_dead_member(world: World, kafka: str, make_topic: Make) -> None:
    """A killed worker's replacement joins: the group waits for the dead one's session, a worker told to stop does not (18)."""
    topic = filled(world, make_topic, partitions=2, events=10)
    settings = {"session_timeout_seconds": 30.0, "heartbeat_seconds": 0.5}
    killed, stopped = (world.start([topic], settings=settings) for _ in range(2))
    until(lambda: len(assigned_members(kafka, world.app)) == 2, "both have partitions")
    killed.kill()
    world.start([topic], settings=settings)
    until(lambda: world.events("revoked", stopped.pid), "the survivor joins again")
    until(lambda: group_state(kafka, world.app) == "PREPARING_REBALANCING", "the group waits for the dead one")
    stopped.send_signal(signal.SIGTERM)
    assert world.end(stopped) == (0, ""), "had it waited for the dead one's 30 s, it would have been ended hard, with code 1"
    assert len(members(kafka, world.app)) == 2, "the one that left told the group, which waits for the dead one still"


def test_a_chunk_that_computes_longer_than_the_session_timeout(world: World, kafka: str, make_topic: Make) -> None:
    """Heartbeats have their own thread: no membership is lost, and a joining worker waits for the chunk to end (15)."""
    topic = filled(world, make_topic, partitions=2, events=10)
    settings = {"session_timeout_seconds": 6.0, "heartbeat_seconds": 1.0, "in_flight": 1}
    computing = world.start([topic], settings=settings, block=9.0)
    until(lambda: world.events("begin"), "in a chunk")
    began = time.monotonic()
    joining = world.start([topic], settings=settings)
    until(lambda: world.events("end", computing.pid), "the chunk ends")
    assert time.monotonic() - began > 6
    until(lambda: world.count() == 20, "all handled")
    until(lambda: world.committed(topic, 2) == [10, 10], "all committed")
    assert world.handled() == {(topic, 0): list(range(10)), (topic, 1): list(range(10))}
    until(lambda: len(assigned_members(kafka, world.app)) == 2, "both are members")
    assert computing.poll() is None
    assert joining.poll() is None


def test_a_broken_timer_is_not_fatal(world: World, make_topic: Make) -> None:
    """(12)"""
    topic = filled(world, make_topic, partitions=1, events=1)
    worker = world.start([topic], timer=True)
    until(lambda: len(world.events("timer")) >= 3, "the timer goes on")
    assert worker.poll() is None


def test_many_quiet_partitions_cost_little(world: World, make_topic: Make) -> None:
    """200 empty partitions: a fetch each 5 ms would name them all 200 times a second."""
    topic = make_topic("quiet", partitions=200)
    worker = world.start([topic])
    until(lambda: world.events("assigned"), "assigned")
    process = psutil.Process(worker.pid)
    until(lambda: process.cpu_percent(interval=2) < 8, "the idle worker is idle")


def test_chunks_are_consecutive(world: World, make_topic: Make) -> None:
    topic = filled(world, make_topic, partitions=2, events=1000)
    world.start([topic], settings={"max_chunk_events": 33})
    until(lambda: world.count() == 2000, "all handled")
    for event in world.events("begin"):
        assert all(b - a == 1 for a, b in pairwise(event["offsets"]))
        assert len(event["offsets"]) <= 33


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_producers_may_compress(world: World, kafka: str, make_topic: Make, codec: str) -> None:
    """aiokafka reads lz4, snappy and zstd by a library that it does not require by itself."""
    topic = make_topic("source", partitions=1)
    producer = Producer({"bootstrap.servers": kafka, "compression.type": codec, "linger.ms": 50})
    for _ in range(200):
        producer.produce(topic, value=b"the same again and again " * 10, partition=0)
    assert producer.flush(30) == 0
    world.start([topic])
    until(lambda: world.count() == 200, f"{codec} read")
