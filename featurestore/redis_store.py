"""States in Redis or Valkey: MGETs to read, a script to merge, each set of calls one round trip (a node).

Keys of one shard share the hash tag ``{namespace:shard}``. An entity's state is ``{namespace:shard}:e:<entity id>``, a fence
``{namespace:shard}:f:<topic>:<partition>``. What a merge does is in merge.lua; one without deltas, in fence_moves.py.
"""

import itertools
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from redis.exceptions import ClusterCrossSlotError, ResponseError

from featurestore import kernel, redis_tries
from featurestore.errors import LayoutError, StoreConfigError
from featurestore.events import Bools, Floats, Ints, Source
from featurestore.fence_moves import FENCES_SCRIPT, FenceMoves
from featurestore.layout import Group
from featurestore.redis_client import Command, connect, escaped, sha
from featurestore.store import NEVER, UNREAD, Merge, OnDropped, Read, States, nobody_asks

log = logging.getLogger(__name__)

MERGE_SCRIPT = resources.files("featurestore").joinpath("merge.lua").read_text()
MERGE_SHA = sha(MERGE_SCRIPT)
NOEVICTION = "noeviction"
_OP_LETTERS = "+<>^."  # by layout.Op
# Keys of several shards in one command: small chunks have an entity or two a shard, and a command costs both sides more than an
# entity does. No more than so many, fences included: Redis serves nobody else meanwhile.
READ_TOGETHER, MERGED_TOGETHER = 500, 150


class RedisStore:
    """See featurestore.store.Store.

    ``on_retry`` is called each time a call is tried again because Redis was away, ``on_away`` whenever it begins or ends to be
    away (redis_tries.Tries). ``ttl_ms`` says for groups by name how long a state outlives the last event merged into it (None:
    for ever; groups not named are left as they are). Redis is told when a state is made and when its longest tiles move on, not
    at every merge, so a state lives up to one such tile longer. Fences never expire. ``on_dropped`` is told of events that came
    too late.
    """

    def __init__(
        self,
        url: str,
        shards: int = 16,
        on_retry: Callable[[], None] = lambda: None,
        ttl_ms: Mapping[str, int | None] = MappingProxyType({}),
        on_dropped: OnDropped = nobody_asks,
        on_away: Callable[[bool], None] = redis_tries.nobody_asks,
    ) -> None:
        self._client = connect(url, [MERGE_SCRIPT, FENCES_SCRIPT], on_retry, on_away)
        self._shards, self._on_dropped = shards, on_dropped
        self._moves = FenceMoves(shards, self._fence_key, self._execute)
        self._ttl_ms = ttl_ms
        self._alone = False  # whether keys of several shards were refused in one command

    async def check(self) -> None:
        """StoreConfigError where a node may evict state; a warning without AOF, and where the policy is not told."""
        if None in (await self._policies()).values():
            log.warning("Redis does not tell its maxmemory-policy: make sure that it is noeviction, or features get lost")
        await self.check_eviction()
        forgetful = [node for node, found in (await self._info("persistence")).items() if str(found.get("aof_enabled", 1)) == "0"]
        if forgetful:
            log.warning(
                "Redis at %s has no append-only file: when it restarts, its features are read from Kafka again, as far as Kafka "
                "still holds them. Run: %s config set appendonly yes, and set it in redis.conf too",
                ", ".join(forgetful), _redis_cli(forgetful[0]),
            )  # fmt: skip

    async def check_eviction(self) -> None:
        """StoreConfigError where a node may evict state (a replica, too: it may be tomorrow's primary)."""
        evicting = {node: policy for node, policy in (await self._policies()).items() if policy not in (None, NOEVICTION)}
        if evicting:
            node, policy = next(iter(evicting.items()))
            raise StoreConfigError(
                f"Redis at {node} has maxmemory-policy {policy} and may drop feature state; run: {_redis_cli(node)} config set "
                f"maxmemory-policy noeviction, and set it in redis.conf (or the provider's parameters) too: a restart forgets "
                f"what config set said"
            )

    async def _policies(self) -> dict[str, str | None]:
        """The eviction policy of each node; None where it is not told."""
        found = await self._info("memory")
        told = {node: info.get("maxmemory_policy") for node, info in found.items()} or {"Redis": None}
        return {node: None if policy is None else str(policy) for node, policy in told.items()}

    async def _info(self, section: str) -> dict[str, dict[str, Any]]:
        """By node; a managed server that hides INFO is taken at its word."""
        try:
            return await self._client.info(section)
        except ResponseError:
            return {}

    async def fences(self, namespaces: Sequence[str], source: Source) -> list[Ints]:
        keys = [key for namespace in namespaces for key in fence_keys(namespace, self._shards, source)]
        found = await self._execute([("GET", key) for key in keys])
        values = np.array([NEVER if value is None else int(value) for value in found], dtype=np.int64)
        return list(values.reshape(len(namespaces), self._shards))

    async def read(self, sources: Sequence[Source], reads: Sequence[Read]) -> list[States]:
        orders = [_by_shard(read.entities.shards, self._shards) for read in reads]
        asked = [
            [*fences, *states]
            for read, (order, bounds) in zip(reads, orders, strict=True)
            for fences, states in self._keys(sources, read, read.fences, order, bounds)
            if states
        ]
        sizes = [len(keys) for keys in asked]

        def commands(most: int) -> list[Command]:
            return [("MGET", *itertools.chain(*asked[slice(*part)])) for part in together(sizes, most)]

        values = await self._ask_together(commands, READ_TOGETHER)
        return [self._states(read, order, bounds, values) for read, (order, bounds) in zip(reads, orders, strict=True)]

    async def _ask_together(self, commands: Callable[[int], list[Command]], most: int) -> Iterator[Any]:
        """What commands answer one after the other, that may have `most` keys of several shards, or 0: of one shard alone.

        So on a cluster, and where a proxy of many servers refuses. What was merged before that finds its fence moved.
        """
        if self._alone or await self._client.clustered():
            most = 0
        try:
            answers = await self._execute(commands(most))
        except ResponseError as refused:
            if not most or not (isinstance(refused, ClusterCrossSlotError) or str(refused).startswith("CROSSSLOT")):
                raise
            self._alone = True
            answers = await self._execute(commands(0))
        return itertools.chain.from_iterable(answers)

    def _states(self, read: Read, order: Ints, bounds: list[tuple[int, int]], values: Iterator[bytes | None]) -> States:
        group = read.group
        empty, size = group.empty.tobytes(), group.length * 8
        numbers: list[int] = []
        found: list[bytes] = []
        for (first, last), fences in zip(bounds, read.fences.sum(axis=0).tolist(), strict=True):
            if first < last:
                numbers += [NEVER if value is None else int(value) for value in itertools.islice(values, fences)]
                found += [empty if value is None else value for value in itertools.islice(values, last - first)]
        if any(len(value) != size for value in found):
            raise LayoutError(f"group {group.name}: a stored state is not of {size} bytes; drop its namespace")
        states = np.empty((len(order), group.length))
        states[order] = np.frombuffer(b"".join(found), dtype=np.float64).reshape(-1, group.length)
        return States(states, _spread(read.fences, numbers))

    async def merge(self, sources: Sequence[Source], merges: Sequence[Merge]) -> list[Ints]:
        if len(sources) == 1 and not any(len(merge.entities) for merge in merges):
            return await self._moves.move(sources[0], merges)

        def commands(most: int) -> list[Command]:
            return [command for merge in merges for command in self._merge_commands(sources, merge, most)]

        answers = await self._ask_together(commands, MERGED_TOGETHER)
        found = []
        for merge in merges:
            dropped, numbers = merge.dropped, list[int]()
            moved = np.zeros(merge.expected.shape, dtype=np.bool_)
            moved[:, merge.shards] = merge.expected[:, merge.shards] != UNREAD
            for fences in moved.sum(axis=0)[merge.shards].tolist():
                numbers += itertools.islice(answers, fences)
                dropped += next(answers)
            found.append(_spread(moved, numbers))
            if dropped:
                self._on_dropped(merge.group.name, dropped)
        return found

    def _merge_commands(self, sources: Sequence[Source], merge: Merge, most: int) -> list[Command]:
        """merge.lua's calls, for as many shards at once as have that many entities together."""
        order, bounds = _by_shard(merge.entities.shards, self._shards)
        packed, ends = _pack(merge.group, merge.deltas[order])
        alike = (*_tiles(merge.group), *self._lifetime(merge.group))
        moved = (merge.expected != UNREAD).T
        asked = self._keys(sources, merge, moved.T, order, bounds)
        moves = np.column_stack([merge.expected.T[moved], merge.new.T[moved]]).ravel().tolist()  # by shard, then by source
        edges = [0, *(2 * moved.sum(axis=1)).cumsum().tolist()]
        commands: list[Command] = []
        for begin, end in together([sum(map(len, asked[shard])) for shard in merge.shards], most):
            keys: list[bytes] = []
            arguments: list[int | bytes] = []
            for shard in merge.shards[begin:end]:
                (first, last), (fences, states) = bounds[shard], asked[shard]
                keys += [*fences, *states]
                arguments += [len(fences), len(states), *moves[edges[shard] : edges[shard + 1]]]
                arguments.append(packed[ends[first] : ends[last]].tobytes())
            commands.append(("EVALSHA", MERGE_SHA, len(keys), *keys, *alike, *arguments))
        return commands

    def _lifetime(self, group: Group) -> tuple[int | str, int]:
        """For merge.lua: milliseconds, 0 for ever, empty to leave it as it is; and the window (from 1) that renews them."""
        if group.name not in self._ttl_ms:
            return "", 0
        ruler = int(group.tile_seconds.argmax())  # the longest tiles: the fewest renewals
        ttl_ms = self._ttl_ms[group.name]
        return (0 if ttl_ms is None else ttl_ms + math.ceil(1000 * group.tile_seconds[ruler]), ruler + 1)

    async def dump(self, namespace: str) -> dict[bytes, bytes]:
        # A namespace may hold what a glob would take for a pattern; the number of the shard ends at the brace.
        shards: dict[bytes, set[bytes]] = defaultdict(set)
        async for key in self._client.scan(b"{%s:*}:e:*" % escaped(namespace.encode())):
            shards[key[: key.index(b"}", len(namespace))]].add(key)
        keys = [list(found) for found in shards.values()]
        answers = await self._execute([("MGET", *found) for found in keys])
        values = zip(itertools.chain(*keys), itertools.chain(*answers), strict=True)
        # An entity may have been forgotten, or have expired, between the two.
        return {key[key.index(b"}:e:", len(namespace)) + 4 :]: value for key, value in values if value is not None}

    async def close(self) -> None:
        await self._client.aclose()

    def _fence_key(self, namespace: str, shard: int, source: Source) -> bytes:
        return fence_keys(namespace, self._shards, source)[shard]

    def _keys(
        self, sources: Sequence[Source], asked: Read | Merge, fences: Bools, order: Ints, bounds: list[tuple[int, int]]
    ) -> list[tuple[list[bytes], list[bytes]]]:
        """Of each shard the sources' `fences`, and the states of its entities, in this order."""
        ids, rows = asked.entities.ids, order.tolist()
        of_source = [fence_keys(asked.namespace, self._shards, source) for source in sources]
        own: list[list[bytes]] = [[] for _ in bounds]
        for shard, source in zip(*(axis.tolist() for axis in np.nonzero(fences.T)), strict=True):
            own[shard].append(of_source[source][shard])
        prefixes = state_prefixes(asked.namespace, self._shards)
        states = [[prefix + ids[row] for row in rows[slice(*part)]] for prefix, part in zip(prefixes, bounds, strict=True)]
        return list(zip(own, states, strict=True))

    async def _execute(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, waited for while Redis is away. Safe for merges: one that had arrived finds its own fence."""
        answers = await self._client.execute(commands)
        for answer in answers:
            if isinstance(answer, ResponseError) and str(answer).startswith("LAYOUT"):
                raise LayoutError(f"a stored state is not of its group's layout: {answer}; drop its namespace")
            if isinstance(answer, Exception):
                raise answer
        return answers


@lru_cache(256)
def state_prefixes(namespace: str, shards: int) -> tuple[bytes, ...]:
    """Of each shard what its states' keys begin with."""
    return tuple(b"{%s:%d}:e:" % (namespace.encode(), shard) for shard in range(shards))


@lru_cache(2048)
def fence_keys(namespace: str, shards: int, source: Source) -> tuple[bytes, ...]:
    """Of each shard the key of the source's fence."""
    name = b"%s:%d" % (source.topic.encode(), source.partition)
    return tuple(b"{%s:%d}:f:%s" % (namespace.encode(), shard, name) for shard in range(shards))


def _spread(asked: Bools, numbers: list[int]) -> Ints:
    """Fences int64 (sources, shards): those `asked`, whose `numbers` come by shard and then by source, and UNREAD elsewhere."""
    out = np.full(asked.shape, UNREAD, dtype=np.int64)
    out.T[asked.T] = numbers
    return out


@lru_cache(256)
def _tiles(group: Group) -> tuple[str, str]:
    """For merge.lua: the slots of a tile, and the tiles of each window's ring."""
    return "".join(_OP_LETTERS[op] for op in group.ops), ",".join(map(str, group.rings))


def _redis_cli(node: str) -> str:
    """The command that reaches a node.

    >>> _redis_cli("10.0.0.7:6379")
    'redis-cli -h 10.0.0.7 -p 6379'
    """
    host, _, port = node.rpartition(":")
    return f"redis-cli -h {host} -p {port}"


def _by_shard(shards: Ints, count: int) -> tuple[Ints, list[tuple[int, int]]]:
    """Rows sorted by shard, and for each shard its first and last (exclusive) place in that order."""
    order = np.argsort(shards, kind="stable")
    ends = np.searchsorted(shards[order], np.arange(count + 1)).tolist()
    return order, list(itertools.pairwise(ends))


def together(sizes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Neighbours that have at most so much together, or stand alone: the first's place and behind the last's.

    >>> list(together([40, 50, 20, 300, 10], 100)), list(together([1, 1], 0))
    ([(0, 2), (2, 3), (3, 4), (4, 5)], [(0, 1), (1, 2)])
    """
    begin, held = 0, 0
    for place, size in enumerate(sizes):
        if place > begin and held + size > most:
            yield begin, place
            begin, held = place, 0
        held += size
    if sizes:
        yield begin, len(sizes)


def _pack(group: Group, deltas: Floats) -> tuple[Floats, Ints]:
    """Packed deltas as merge.lua reads them, and where each begins (and the last ends): float64, int64 (deltas + 1,)."""
    windows, width = len(group.rings), len(group.slots)
    out = np.empty(len(deltas) * (1 + windows + int(group.rings.sum()) * (1 + width)))
    ends = np.zeros(len(deltas) + 1, dtype=np.int64)
    kernel.pack(deltas, group.rings, group.starts, group.ops, out, ends[1:])
    return out, ends
