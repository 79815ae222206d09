"""The ledger of unfinished and done chunks."""

from __future__ import annotations

import asyncio

import pytest

from streams.chunk import TP, Chunk
from streams.progress import Progress, Ticket
from tests.streams.test_transport_scheduler import Record

A, B, C = TP("t", 0), TP("t", 1), TP("t", 2)


def chunk(tp: TP, first: int, last: int) -> Chunk:
    return Chunk(tp.topic, tp.partition, [Record(o, timestamp=o) for o in range(first, last + 1)])


def test_only_finished_chunks_are_committable() -> None:
    """Pitfalls 1 and 2: the offset is the next to read, and only of what a handler finished."""
    progress = Progress(in_flight=2)
    a, b = progress.issue(chunk(A, 0, 9)), progress.issue(chunk(B, 5, 6))
    assert progress.committable([A, B]) == {}
    assert progress.finish(b)
    assert progress.committable([A, B]) == {B: 7}
    assert progress.finish(a)
    assert progress.committable([A, B]) == {A: 10, B: 7}
    assert progress.committable([A]) == {A: 10}


def test_slots_bound_the_chunks_in_flight() -> None:
    progress = Progress(in_flight=2)
    ticket = progress.issue(chunk(A, 0, 0))
    progress.issue(chunk(B, 0, 0))
    assert not progress.has_slot
    progress.finish(ticket)
    assert progress.has_slot
    assert progress.unfinished() == {B: 0}


def test_a_partition_has_one_unfinished_chunk() -> None:
    progress = Progress(in_flight=2)
    progress.issue(chunk(A, 0, 9))
    with pytest.raises(RuntimeError, match=r"t\[0\] already has an unfinished chunk"):
        progress.issue(chunk(A, 10, 19))


def test_a_failed_chunk_stays_unfinished() -> None:
    """Pitfall 3: neither committed nor handed out again before the crash."""
    progress = Progress(in_flight=2)
    ticket = progress.issue(chunk(A, 0, 9))
    assert progress.abandon(ticket)
    assert progress.committable([A]) == {}
    assert A in progress.unfinished()


def test_what_is_committed_is_forgotten_unless_more_is_done() -> None:
    progress = Progress(in_flight=1)
    progress.finish(progress.issue(chunk(A, 0, 9)))
    progress.committed([(A, 7)])  # the hook let through less
    assert progress.committable([A]) == {A: 10}
    progress.committed([(A, 10)])
    assert progress.done_partitions() == []


async def _forever() -> None:
    await asyncio.Event().wait()


def running(ticket: Ticket) -> asyncio.Task[None]:
    ticket.task = asyncio.get_running_loop().create_task(_forever())
    return ticket.task


def test_a_handler_of_a_past_assignment_marks_nothing_done_and_keeps_its_partition_busy() -> None:
    """Pitfall 5."""

    async def scenario() -> None:
        progress = Progress(in_flight=2)
        late, never_started = progress.issue(chunk(A, 0, 9)), progress.issue(chunk(B, 0, 9))
        task = running(late)
        progress.void()
        assert progress.unfinished() == {A: 0}
        assert progress.has_slot
        assert not progress.is_current(never_started)
        assert progress.running() == {task}
        assert not progress.finish(late)
        assert progress.committable([A, B]) == {}
        assert progress.unfinished() == {}
        task.cancel()

    asyncio.run(scenario())


def test_a_late_failure_of_a_past_assignment_is_not_this_ones() -> None:
    async def scenario() -> None:
        progress = Progress(in_flight=2)
        late = progress.issue(chunk(A, 0, 9))
        task = running(late)
        progress.void()
        assert not progress.abandon(late)
        current = progress.issue(chunk(A, 0, 9))
        assert progress.abandon(current)
        task.cancel()

    asyncio.run(scenario())


def test_chunks_of_one_ticket_are_finished_together_and_take_one_slot() -> None:
    progress = Progress(in_flight=2)
    both = progress.issue(chunk(A, 0, 9), chunk(B, 5, 6))
    assert progress.has_slot
    assert progress.unfinished() == {A: 0, B: 5}
    with pytest.raises(RuntimeError, match=r"t\[1\] already has an unfinished chunk"):
        progress.issue(chunk(C, 0, 0), chunk(B, 7, 8))
    assert C not in progress.unfinished()
    progress.issue(chunk(C, 0, 0))
    assert not progress.has_slot
    assert progress.finish(both)
    assert progress.committable([A, B, C]) == {A: 10, B: 7}
    assert progress.unfinished() == {C: 0}


def test_a_ticket_of_a_past_assignment_keeps_all_its_partitions_busy() -> None:
    async def scenario() -> None:
        progress = Progress(in_flight=2)
        late = progress.issue(chunk(A, 0, 9), chunk(B, 5, 6))
        task = running(late)
        progress.void()
        assert progress.unfinished() == {A: 0, B: 5}
        assert progress.running() == {task}
        assert not progress.abandon(late)
        assert progress.unfinished() == {}
        task.cancel()

    asyncio.run(scenario())
