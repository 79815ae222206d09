"""Which partition's records are next: the oldest first, and none too far ahead (pitfall 10).

Pure: buffers of fetched records and a choice. Who is busy, what the broker still holds and the time come as
arguments; the transport supplies them.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from streams.chunk import TP, Chunk, Record


class Pick(NamedTuple):
    tp: TP
    horizon_ms: int | None  # records younger than this stay for later; None: no bound


def in_order(
    heads: Mapping[TP, int],
    unfinished: Mapping[TP, int],
    behind: Iterable[int],
    lead_ms: Mapping[str, int],
    topics: Set[str],
) -> Iterator[Pick]:
    """The partitions of `topics` that may go, the one with the oldest waiting records first; none leads the slowest by too much.

    `heads`: timestamp of the first waiting record of each partition that has one. `unfinished`: of each busy
    partition, the timestamp of the first record of its chunk. `behind`: progress of partitions whose next records
    are still on the way from the broker. All in milliseconds.

    >>> a, b = TP("t", 0), TP("t", 1)
    >>> [pick.tp.partition for pick in in_order({a: 9_000, b: 4_000}, {}, [], {}, {"t"})]
    [1, 0]
    >>> list(in_order({a: 9_000}, {b: 4_000}, [], {"t": 1_000}, {"t"}))
    []
    """
    slowest = min([*heads.values(), *unfinished.values(), *behind], default=0)
    for at, tp in sorted((at, tp) for tp, at in heads.items() if tp not in unfinished and tp.topic in topics):
        lead = lead_ms.get(tp.topic)
        if lead is None:
            yield Pick(tp, None)
        elif at <= slowest + lead:
            yield Pick(tp, slowest + lead)


class Backlog:
    """Records that were fetched and not yet handed out, per partition in offset order."""

    def __init__(self, *, max_chunk_events: int, max_buffered_events: int) -> None:
        self._max_chunk = max_chunk_events
        self._max_buffered = max_buffered_events
        self._waiting: dict[TP, list[Record]] = {}
        self._next_offset: dict[TP, int] = {}
        self.last_timestamp: dict[TP, int] = {}  # of the last record handed out

    def start_at(self, tp: TP, offset: int) -> None:
        """Everything of `tp` below `offset` will be trimmed; what was waiting is dropped."""
        self._waiting.pop(tp, None)
        self.last_timestamp.pop(tp, None)
        self._next_offset[tp] = offset

    def add(self, tp: TP, records: Sequence[Record]) -> None:
        """Append, without what lies below the position (pitfall 9: Faust compares a chunk's last offset only)."""
        position = self._next_offset.get(tp, 0)
        fresh = list(records)
        if fresh and fresh[0].offset < position:
            fresh = [record for record in fresh if record.offset >= position]
        if fresh:
            self._waiting.setdefault(tp, []).extend(fresh)
            self._next_offset[tp] = fresh[-1].offset + 1

    def take(self, pick: Pick, most: int) -> list[Record]:
        """The next chunk's records: `most` at most, one at least, none beyond the horizon but the first."""
        waiting = self._waiting[pick.tp]
        count = min(len(waiting), most)
        if pick.horizon_ms is not None:
            count = next((i for i in range(1, count) if waiting[i].timestamp > pick.horizon_ms), count)
        taken, rest = waiting[:count], waiting[count:]
        if rest:
            self._waiting[pick.tp] = rest
        else:
            del self._waiting[pick.tp]
        self.last_timestamp[pick.tp] = taken[-1].timestamp
        return taken

    def heads(self) -> dict[TP, int]:
        return {tp: records[0].timestamp for tp, records in self._waiting.items()}

    def holds(self, tp: TP) -> int:
        return len(self._waiting.get(tp, ()))

    def ripe(self, topic: str, busy: Container[TP], tps: Collection[TP]) -> bool:
        """Whether to wait gains nothing: a full chunk is there, or a partition's share of `tps`, and no more is fetched."""
        free = [len(records) for tp, records in self._waiting.items() if tp.topic == topic and tp not in busy]
        return sum(free) >= self._max_chunk or max(free, default=0) >= self._share(tps)

    def wants(self, tps: Iterable[TP]) -> set[TP]:
        """Those whose share of the buffer is not full; others stay in the broker (backpressure, pitfall 4)."""
        partitions = list(tps)
        return {tp for tp in partitions if self.holds(tp) < self._share(partitions)}

    def starving(self, tps: Iterable[TP]) -> bool:
        """Whether one of them has less than half a share left, so that waiting for a running fetch would idle it."""
        partitions = list(tps)
        return any(2 * self.holds(tp) < self._share(partitions) for tp in partitions)

    def _share(self, tps: Collection[TP]) -> int:
        return max(1, min(2 * self._max_chunk, self._max_buffered // max(1, len(tps))))

    def clear(self) -> None:
        self._waiting.clear()
        self._next_offset.clear()
        self.last_timestamp.clear()


def joint(
    backlog: Backlog,
    unfinished: Mapping[TP, int],
    behind: Iterable[int],
    lead_ms: Mapping[str, int],
    topics: Set[str],
    events: int,
    partitions: int,
) -> list[Chunk]:
    """The chunks that are next, to be handled together: of one of the topics, of so many partitions and events at most.

    As if they were handed out one after the other: a chunk that is handed out leaves the slowest as slow as it was.
    """
    chunks: list[Chunk] = []
    for pick in in_order(backlog.heads(), unfinished, behind, lead_ms, topics):
        if chunks and pick.tp.topic != chunks[0].topic:
            continue
        if events <= 0 or len(chunks) == partitions:
            break
        chunk = Chunk(*pick.tp, backlog.take(pick, events))
        events -= len(chunk.records)
        chunks.append(chunk)
    return chunks
