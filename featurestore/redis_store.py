"""States in Redis or Valkey: one MGET a shard to read, one script a shard to merge, each set of calls one round trip.

Keys of one shard share the hash tag ``{namespace:shard}``. An entity's state is ``{namespace:shard}:e:<entity id>``, a fence
``{namespace:shard}:f:<topic>:<partition>``. What a merge does is in merge.lua.
"""

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any, TypeVar

import numpy as np
import redis.asyncio
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from featurestore import kernel
from featurestore.errors import LayoutError, StoreConfigError
from featurestore.events import Floats, Ints, Source
from featurestore.layout import Group
from featurestore.store import NEVER, UNREAD, Merge, Read, States

log = logging.getLogger(__name__)

# What passes by itself or by an operator's hand: the server restarts, fails over, loads its file, is full, lacks replicas or runs
# somebody's long script. Anything else is raised. A server that refuses a script's writes does so at the first of them.
TRANSIENT = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)
_WORDS = ("BUSY ", "NOREPLICAS ", "MASTERDOWN ")  # those that have no class of their own
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0
MERGE_SCRIPT = resources.files("featurestore").joinpath("merge.lua").read_text()
MERGE_SHA = hashlib.sha1(MERGE_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_OP_LETTERS = "+<>"  # by layout.Op

T = TypeVar("T")


class RedisStore:
    """See featurestore.store.Store. ``on_retry`` is called each time a call is tried again because Redis was away."""

    def __init__(self, url: str, shards: int = 16, on_retry: Callable[[], None] = lambda: None) -> None:
        self._client = redis.asyncio.Redis.from_url(url, socket_timeout=30, socket_connect_timeout=5)
        self._shards = shards
        self._on_retry = on_retry

    async def check(self) -> None:
        """StoreConfigError where Redis may evict state. Managed servers that hide CONFIG are taken at their word."""
        try:
            found = await self._patiently(lambda: self._client.config_get("maxmemory-policy"))
        except ResponseError:
            return
        policy = found.get("maxmemory-policy", "noeviction")
        if policy != "noeviction":
            raise StoreConfigError(
                f"Redis has maxmemory-policy {policy} and may drop feature state; "
                f"run: redis-cli config set maxmemory-policy noeviction"
            )

    async def fences(self, namespaces: Sequence[str], source: Source) -> list[Ints]:
        keys = [self._fence_key(namespace, shard, source) for namespace in namespaces for shard in range(self._shards)]
        found = await self._pipeline([("GET", key) for key in keys])
        values = np.array([NEVER if value is None else int(value) for value in found], dtype=np.int64)
        return list(values.reshape(len(namespaces), self._shards))

    async def read(self, source: Source, reads: Sequence[Read]) -> list[States]:
        commands: list[tuple[Any, ...]] = []
        orders = []
        for read in reads:
            order, bounds = _by_shard(read.entities.shards, self._shards)
            orders.append((order, bounds))
            commands += [
                ("MGET", self._fence_key(read.namespace, shard, source), *self._state_keys(read, shard, order[first:last]))
                for shard, (first, last) in enumerate(bounds)
                if first < last
            ]
        answers = iter(await self._pipeline(commands))
        return [self._states(read.group, order, bounds, answers) for read, (order, bounds) in zip(reads, orders, strict=True)]

    def _states(self, group: Group, order: Ints, bounds: list[tuple[int, int]], answers: Any) -> States:
        empty, size = group.empty.tobytes(), group.length * 8
        fences = np.full(self._shards, UNREAD, dtype=np.int64)
        found: list[bytes] = []
        for shard, (first, last) in enumerate(bounds):
            if first < last:
                fence, *values = next(answers)
                fences[shard] = NEVER if fence is None else int(fence)
                found += [empty if value is None else value for value in values]
        if any(len(value) != size for value in found):
            raise LayoutError(f"group {group.name}: a stored state is not of {size} bytes; drop its namespace")
        states = np.empty((len(order), group.length))
        states[order] = np.frombuffer(b"".join(found), dtype=np.float64).reshape(-1, group.length)
        return States(states, fences)

    async def merge(self, source: Source, merges: Sequence[Merge]) -> list[Ints]:
        commands = [command for merge in merges for command in self._merge_commands(source, merge)]
        answers = iter(await self._pipeline(commands))
        found = [np.full(self._shards, UNREAD, dtype=np.int64) for _ in merges]
        for merge, fences in zip(merges, found, strict=True):
            for shard in merge.shards:
                fences[shard] = next(answers)
        return found

    def _merge_commands(self, source: Source, merge: Merge) -> list[tuple[Any, ...]]:
        group = merge.group
        order, bounds = _by_shard(merge.entities.shards, self._shards)
        packed, ends = _pack(group, merge.deltas[order])
        ops = "".join(_OP_LETTERS[op] for op in group.ops)
        rings = ",".join(map(str, group.rings))
        commands: list[tuple[Any, ...]] = []
        for shard in merge.shards:
            first, last = bounds[shard]
            keys = [self._fence_key(merge.namespace, shard, source), *self._state_keys(merge, shard, order[first:last])]
            delta = packed[ends[first] : ends[last]].tobytes()
            expected = int(merge.expected[shard])
            commands.append(("EVALSHA", MERGE_SHA, len(keys), *keys, expected, merge.new, ops, rings, delta))
        return commands

    async def dump(self, namespace: str) -> dict[bytes, bytes]:
        out: dict[bytes, bytes] = {}
        for shard in range(self._shards):
            prefix = self._prefix(namespace, shard) + b":e:"
            keys = [key async for key in self._client.scan_iter(match=_escaped(prefix) + b"*", count=1000)]
            values = await self._client.mget(keys) if keys else []
            out |= {key.removeprefix(prefix): value for key, value in zip(keys, values, strict=True)}
        return out

    async def close(self) -> None:
        await self._client.aclose()

    def _prefix(self, namespace: str, shard: int) -> bytes:
        return b"{%s:%d}" % (namespace.encode(), shard)

    def _fence_key(self, namespace: str, shard: int, source: Source) -> bytes:
        return b"%s:f:%s:%d" % (self._prefix(namespace, shard), source.topic.encode(), source.partition)

    def _state_keys(self, asked: Read | Merge, shard: int, rows: Ints) -> list[bytes]:
        prefix, ids = self._prefix(asked.namespace, shard) + b":e:", asked.entities.ids
        return [prefix + ids[row] for row in rows.tolist()]

    async def _pipeline(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Sends all commands in one round trip; loads the script where Redis has lost it; raises the first error."""
        answers = await self._patiently(lambda: self._send(commands))
        while lost := [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]:
            await self._patiently(lambda: self._client.script_load(MERGE_SCRIPT))
            again = await self._patiently(lambda: self._send([commands[i] for i in lost]))
            for i, answer in zip(lost, again, strict=True):
                answers[i] = answer
        for answer in answers:
            if isinstance(answer, ResponseError) and str(answer).startswith("LAYOUT"):
                raise LayoutError(f"a stored state is not of its group's layout: {answer}; drop its namespace")
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _send(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if _passes(answer):
                raise answer
        return answers

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Tries again, with a growing pause, while Redis is away. Safe for merges: one that had arrived finds its own fence."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await call()
            except RedisError as away:
                if not _passes(away):
                    raise
                log.warning(
                    "Redis is away (%s); trying again in %.2f s. Lasting? Check REDIS_URL, or run: tidegate doctor", away, pause
                )
                self._on_retry()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _passes(answer: Any) -> bool:
    """Whether an answer is an error that another try may not meet."""
    return isinstance(answer, TRANSIENT) or (isinstance(answer, ResponseError) and str(answer).startswith(_WORDS))


def _by_shard(shards: Ints, count: int) -> tuple[Ints, list[tuple[int, int]]]:
    """Rows sorted by shard, and for each shard its first and last (exclusive) place in that order."""
    order = np.argsort(shards, kind="stable")
    ends = np.searchsorted(shards[order], np.arange(count + 1)).tolist()
    return order, list(itertools.pairwise(ends))


def _pack(group: Group, deltas: Floats) -> tuple[Floats, Ints]:
    """Packed deltas as merge.lua reads them, and where each begins (and the last ends): float64, int64 (deltas + 1,)."""
    windows, width = len(group.rings), len(group.slots)
    out = np.empty(len(deltas) * (1 + windows + int(group.rings.sum()) * (1 + width)))
    ends = np.zeros(len(deltas) + 1, dtype=np.int64)
    kernel.pack(deltas, group.rings, group.starts, group.ops, out, ends[1:])
    return out, ends


def _escaped(pattern: bytes) -> bytes:
    """A literal as a Redis glob pattern."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^" else bytes([c]) for c in pattern)
