"""Fences moved without deltas: many partitions' at once, since every commit moves those of all shards that nothing touched.

With 200 partitions a script call for each fence would cost a third of a second of the worker's CPU, every second. So what is
asked for in one turn of the event loop goes out together, one call of fences.lua a shard: compare-and-set as in merge.lua.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from featurestore.events import Ints, Source
from featurestore.redis_client import Command, sha
from featurestore.store import UNREAD, Merge

FENCES_SCRIPT = resources.files("featurestore").joinpath("fences.lua").read_text()
FENCES_SHA = sha(FENCES_SCRIPT)

FenceKey = Callable[[str, int, Source], bytes]  # of a namespace, a shard and a source
Execute = Callable[[Sequence[Command]], Awaitable[list[Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """One caller: what to move, and where to tell what was found."""

    source: Source
    merges: Sequence[Merge]
    found: asyncio.Future[list[Ints]]


class FenceMoves:
    """Gathers and sends. `execute` is the store's, which waits while Redis is away."""

    def __init__(self, shards: int, key: FenceKey, execute: Execute) -> None:
        self._shards, self._key, self._execute = shards, key, execute
        self._asked: list[_Asked] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def move(self, source: Source, merges: Sequence[Merge]) -> list[Ints]:
        """See Store.merge; every merge is without entities, and of this source alone."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._begin)  # after everything that is ready now
        asked = _Asked(source, merges, loop.create_future())
        self._asked.append(asked)
        return await asked.found

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        task = asyncio.get_running_loop().create_task(self._send(asked))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, asked: list[_Asked]) -> None:
        try:
            found = await self._found(asked)
        except asyncio.CancelledError:
            for one in asked:
                one.found.cancel()
            raise
        except Exception as error:
            for one in asked:
                if not one.found.done():
                    one.found.set_exception(error)
        else:
            for one, fences in zip(asked, found, strict=True):
                if not one.found.done():  # else its caller has given up; the fences moved all the same
                    one.found.set_result(fences)

    async def _found(self, asked: list[_Asked]) -> list[list[Ints]]:
        out = [[np.full((1, self._shards), UNREAD, dtype=np.int64) for _ in one.merges] for one in asked]
        calls: dict[tuple[str, int], list[tuple[bytes, int, int, Ints]]] = defaultdict(list)
        for one, arrays in zip(asked, out, strict=True):
            for merge, (fences,) in zip(one.merges, arrays, strict=True):
                (expected,), (new,) = merge.expected, merge.new
                for shard in merge.shards:
                    move = (self._key(merge.namespace, shard, one.source), int(expected[shard]), int(new[shard]), fences)
                    calls[merge.namespace, shard].append(move)
        answers = await self._execute([_command(moves) for moves in calls.values()])
        for ((_, shard), moves), found in zip(calls.items(), answers, strict=True):
            for (_, _, _, fences), fence in zip(moves, found, strict=True):
                fences[shard] = fence
        return out


def _command(moves: Sequence[tuple[bytes, int, int, Ints]]) -> Command:
    numbers = [number for _, expected, new, _ in moves for number in (expected, new)]
    return ("EVALSHA", FENCES_SHA, len(moves), *[key for key, *_ in moves], *numbers)
