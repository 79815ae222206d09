"""The choice of the next chunk: oldest first, bounded lead, trimmed and cut records."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from streams.chunk import TP
from streams.scheduler import Backlog, Pick, in_order, joint

A, B, C = TP("a", 0), TP("a", 1), TP("b", 0)


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    timestamp_type: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def backlog(max_chunk_events: int = 10, max_buffered_events: int = 100) -> Backlog:
    return Backlog(max_chunk_events=max_chunk_events, max_buffered_events=max_buffered_events)


def oldest(heads: dict[TP, int], unfinished: dict[TP, int], behind: list[int], lead_ms: dict[str, int]) -> Pick | None:
    """The first in order, of all topics."""
    return next(in_order(heads, unfinished, behind, lead_ms, {"a", "b"}), None)


def test_the_oldest_waiting_partition_is_next() -> None:
    assert oldest({A: 30, B: 20, C: 25}, {}, [], {}) == Pick(B, None)


def test_a_busy_partition_waits() -> None:
    assert oldest({A: 30, B: 20, C: 25}, {B: 10}, [], {}) == Pick(C, None)
    assert oldest({B: 20}, {B: 10}, [], {}) is None
    assert oldest({}, {}, [], {}) is None


def test_none_leads_a_busy_or_expected_partition_by_more_than_declared() -> None:
    lead = {"a": 5, "b": 50}
    assert oldest({A: 100}, {B: 94}, [], lead) is None
    assert oldest({A: 100}, {B: 95}, [], lead) == Pick(A, 100)
    assert oldest({A: 100}, {}, [94], lead) is None


def test_a_topic_with_a_longer_lead_may_go_where_another_waits() -> None:
    assert oldest({A: 100, C: 110}, {B: 90}, [], {"a": 5, "b": 50}) == Pick(C, 140)
    assert oldest({A: 100, C: 110}, {B: 90}, [], {"a": 5}) == Pick(C, None)


@given(st.dictionaries(st.sampled_from([A, B, C]), st.integers(0, 100), min_size=1))
def test_something_is_always_next_when_all_wait(heads: dict[TP, int]) -> None:
    pick = oldest(heads, {}, [], {"a": 0, "b": 0})
    assert pick is not None
    assert heads[pick.tp] == min(heads.values())


def test_records_below_the_position_are_trimmed() -> None:
    """Pitfall 9."""
    waiting = backlog()
    waiting.start_at(A, 7)
    waiting.add(A, [Record(o) for o in range(5, 10)])
    waiting.add(A, [Record(o) for o in range(8, 12)])
    assert [r.offset for r in waiting.take(Pick(A, None), 5)] == [7, 8, 9, 10, 11]
    waiting.add(A, [Record(11)])
    assert waiting.holds(A) == 0


def test_a_chunk_is_bounded_in_number_and_time_but_never_empty() -> None:
    waiting = backlog(max_chunk_events=3)
    waiting.add(A, [Record(o, timestamp=10 * o) for o in range(8)])
    assert [r.offset for r in waiting.take(Pick(A, None), 3)] == [0, 1, 2]
    assert [r.offset for r in waiting.take(Pick(A, 45), 3)] == [3, 4]
    assert [r.offset for r in waiting.take(Pick(A, 0), 3)] == [5]
    assert waiting.last_timestamp[A] == 50
    assert waiting.heads() == {A: 60}


def test_offsets_may_have_gaps() -> None:
    """A compacted topic, or a transaction's markers."""
    waiting = backlog()
    waiting.add(A, [Record(3), Record(9)])
    waiting.add(A, [Record(17)])
    assert [r.offset for r in waiting.take(Pick(A, None), 5)] == [3, 9, 17]


def test_a_full_share_is_not_fetched_further() -> None:
    """Pitfall 4: backpressure by not asking, not by sleeping."""
    waiting = backlog(max_chunk_events=10, max_buffered_events=30)
    waiting.add(A, [Record(o) for o in range(15)])
    assert waiting.wants([A, B]) == {B}
    assert waiting.starving([B])
    waiting.take(Pick(A, None), 10)
    assert waiting.wants([A, B]) == {A, B}
    assert waiting.starving([A])


def test_a_seek_drops_what_waits() -> None:
    """Pitfall 7."""
    waiting = backlog()
    waiting.add(A, [Record(5)])
    waiting.start_at(A, 2)
    assert waiting.heads() == {}
    waiting.add(A, [Record(2)])
    assert waiting.holds(A) == 1


def test_small_chunks_of_one_topic_are_handed_out_together() -> None:
    """The oldest first; not of busy partitions, not of another topic, no more events than one chunk may have."""
    waiting = backlog()
    for tp, first in ((A, 50), (B, 40), (C, 60)):
        waiting.add(tp, [Record(o, timestamp=first + o) for o in range(4)])

    def taken(busy: dict[TP, int], events: int, partitions: int) -> list[tuple[TP, int]]:
        return [(chunk.tp, len(chunk.records)) for chunk in joint(waiting, busy, [], {}, {"a", "b"}, events, partitions)]

    assert taken({B: 30}, 3, 5) == [(A, 3)]
    assert taken({}, 4, 5) == [(B, 4)]
    waiting.add(B, [Record(o, timestamp=70 + o) for o in range(4, 6)])
    assert taken({}, 10, 5) == [(A, 1), (B, 2)]
    assert taken({}, 10, 5) == [(C, 4)]
    assert taken({}, 10, 5) == []


def test_no_more_partitions_are_joined_than_told() -> None:
    waiting = backlog()
    for number in range(5):
        waiting.add(TP("a", number), [Record(0, timestamp=number)])
    sizes = [len(joint(waiting, {}, [], {}, {"a"}, 100, 2)) for _ in range(4)]
    assert sizes == [2, 2, 1, 0]


def test_what_is_handed_out_together_leads_none_by_more_than_declared() -> None:
    waiting = backlog()
    waiting.add(A, [Record(0, timestamp=100)])
    waiting.add(B, [Record(o, timestamp=105 + o) for o in range(10)])
    lead = {"a": 8, "b": 8}
    assert [(chunk.tp, len(chunk.records)) for chunk in joint(waiting, {}, [], lead, {"a"}, 99, 5)] == [(A, 1), (B, 4)]
    assert joint(waiting, {C: 100}, [], lead, {"a"}, 99, 5) == []


def test_only_chunks_of_topics_that_are_due_are_handed_out() -> None:
    waiting = backlog()
    waiting.add(A, [Record(0, timestamp=10)])
    waiting.add(C, [Record(0, timestamp=20)])
    assert joint(waiting, {}, [], {}, set(), 9, 9) == []
    assert [chunk.tp for chunk in joint(waiting, {}, [], {}, {"b"}, 9, 9)] == [C]
    assert joint(waiting, {}, [], {"b": 1}, {"b"}, 9, 9) == []
    waiting.add(C, [Record(1, timestamp=20)])
    assert joint(waiting, {}, [], {"b": 1}, {"b"}, 9, 9) == []  # it would lead what waits for its turn


def test_to_wait_for_more_ends_when_no_more_can_come() -> None:
    """A full chunk waits, busy partitions aside, or one holds its share of the buffer, and its fetching stops there."""
    waiting = backlog(max_chunk_events=10, max_buffered_events=24)
    waiting.add(A, [Record(o) for o in range(7)])
    waiting.add(B, [Record(o) for o in range(3)])
    assert waiting.ripe("a", {}, [A, B])
    assert not waiting.ripe("a", {B: 0}, [A, B])
    assert not waiting.ripe("a", {A: 0}, [A, B])
    assert not waiting.ripe("b", {}, [A, B])
    assert waiting.ripe("a", {B: 0}, [A, B, C, TP("b", 1)])  # of four, 6 are a share
    assert A not in waiting.wants([A, B, C, TP("b", 1)])
