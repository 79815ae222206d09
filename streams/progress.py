"""Which chunks are unfinished and what may be committed: the ledger behind `done` (pitfalls 1, 2, 3).

One unfinished chunk a partition; an offset is committable only when its chunk's handler returned. A ticket is for chunks that
are handled together, and belongs to one assignment: after a revocation a handler that still runs can neither mark anything done
(its ticket is void) nor share its partitions with a second handler (they stay busy until it ends).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streams.chunk import TP, Chunk


@dataclass(slots=True, eq=False)
class Ticket:
    """Chunks on their way: handed to a stream, then to a handler's task."""

    chunks: Sequence[Chunk]
    task: asyncio.Task[None] | None = None


class Progress:
    def __init__(self, in_flight: int) -> None:
        self._in_flight = in_flight
        self._unfinished: dict[TP, Ticket] = {}
        self._outlived: set[Ticket] = set()
        self._done: dict[TP, int] = {}

    @property
    def has_slot(self) -> bool:
        return len(set(self._unfinished.values())) < self._in_flight

    def unfinished(self) -> dict[TP, int]:
        """Busy partitions, each with the timestamp (ms) of its chunk's first record."""
        tickets = self._outlived.union(self._unfinished.values())
        return {chunk.tp: chunk.records[0].timestamp for ticket in tickets for chunk in ticket.chunks}

    def issue(self, *chunks: Chunk) -> Ticket:
        unfinished = self.unfinished()
        for chunk in chunks:
            if chunk.tp in unfinished:
                raise RuntimeError(f"{chunk.topic}[{chunk.partition}] already has an unfinished chunk")
        ticket = Ticket(chunks)
        self._unfinished.update((chunk.tp, ticket) for chunk in chunks)
        return ticket

    def is_current(self, ticket: Ticket) -> bool:
        return self._unfinished.get(ticket.chunks[0].tp) is ticket

    def finish(self, ticket: Ticket) -> bool:
        """The handler returned. False: its assignment is gone, nothing is done."""
        if not self.is_current(ticket):
            self._outlived.discard(ticket)
            return False
        for chunk in ticket.chunks:
            del self._unfinished[chunk.tp]
            self._done[chunk.tp] = chunk.last_offset + 1
        return True

    def abandon(self, ticket: Ticket) -> bool:
        """The handler raised or was cancelled: the chunks stay unfinished. True if that is this assignment's."""
        self._outlived.discard(ticket)
        return self.is_current(ticket)

    def running(self) -> set[asyncio.Task[None]]:
        tickets = [*self._unfinished.values(), *self._outlived]
        return {ticket.task for ticket in tickets if ticket.task is not None and not ticket.task.done()}

    def committable(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Offset of the next record to read, of those partitions with something done since their start."""
        return {tp: self._done[tp] for tp in tps if tp in self._done}

    def done_partitions(self) -> list[TP]:
        return list(self._done)

    def committed(self, offsets: Iterable[tuple[TP, int]]) -> None:
        """Forget what need not be committed again."""
        for tp, offset in offsets:
            if self._done.get(tp, -1) <= offset:
                self._done.pop(tp, None)

    def forget_done(self) -> None:
        """What could not be committed is left to whoever reads it again."""
        self._done.clear()

    def void(self) -> None:
        """The assignment is gone: tickets are worth nothing, handlers still running keep their partitions busy."""
        self._outlived |= {t for t in self._unfinished.values() if t.task is not None and not t.task.done()}
        self._unfinished.clear()
        self._done.clear()
