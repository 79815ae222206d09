"""Which server holds which key: one server, or the primaries of a Redis Cluster as its nodes name them.

Why not redis-py's RedisCluster: its pipeline refuses EVALSHA and MGET, its node objects change from version to version, and it
retries by rules of its own. What is needed of it, the map of slots, is one command. Retrying is redis_client.py's.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ConnectionError, RedisError, ResponseError

from featurestore.errors import StoreConfigError
from featurestore.redis_errors import passes
from featurestore.redis_packing import packing

Address = tuple[str, int]

SEED: Address = ("", 0)  # stands for the server that the URL names
READ_BYTES = 2**20  # a chunk's states are some megabytes; redis-py would take them in steps of 64 KiB
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0  # one server: nobody takes its place, so a paused one is waited for on the open connection
NODE_ANSWER_SECONDS = 5.0  # a cluster's node: a replica may have taken its place meanwhile
MAP_SECONDS = 2.0  # a node that is asked for the map and hangs; then another one is asked
# redis-py's 100 would refuse a worker with more partitions than that; a call holds one connection for one round trip.
MOST_CONNECTIONS = 1_000
_NO_DATABASE = ("DB index is out of range", "SELECT is not allowed")


class Range(NamedTuple):
    """Slots `first` to `last`, and who has them."""

    first: int
    last: int
    primary: Address
    replicas: tuple[Address, ...]


class Topology:
    """The servers behind a URL, found by asking them. `version` grows with every map of slots taken in."""

    def __init__(self, url: str) -> None:
        self._settings = dict(parse_url(url)) | {"max_connections": MOST_CONNECTIONS, "socket_connect_timeout": CONNECT_SECONDS}
        self._clients = {SEED: self._client(socket_timeout=ANSWER_SECONDS)}
        self._owners: list[Address | None] = []
        self._lock = asyncio.Lock()
        self._turn = itertools.count()
        self.known = False
        self.clustered = False
        self.primaries: tuple[Address, ...] = (SEED,)
        self.replicas: tuple[Address, ...] = ()
        self.version = 0

    def client(self, address: Address) -> Redis:
        if (found := self._clients.get(address)) is None:
            host, port = address
            found = self._clients[address] = self._client(host=host, port=port, socket_timeout=NODE_ANSWER_SECONDS)
        return found

    def owner(self, key: bytes | str) -> Address:
        """Where a key's command goes. A slot that nobody serves: to a primary, which says so."""
        if not self.clustered:
            return SEED
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        return self._owners[slot] or self.primaries[0]

    async def discover(self) -> None:
        """Once: whether the URL's server is of a cluster, and if so, the cluster's map. RedisError when it does not answer."""
        if self.known:
            return
        async with self._lock:
            if not self.known:
                self.clustered = await _is_of_a_cluster(self._clients[SEED])
                if self.clustered and not await self._take_map([SEED]):
                    raise ConnectionError("the node that REDIS_URL names gives no map of the cluster")
                self.known = True

    async def refresh(self, seen: int, hint: Address | None = None) -> None:
        """Takes in a new map, unless another call did since version `seen`; `hint` is a node that should know it best.

        Where no node answers in time the old map stays. Nodes take turns in being asked first: one's map may be stale.
        """
        if not self.clustered:
            return
        async with self._lock:
            if self.version == seen:
                await self._take_map(self._candidates(hint))

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    def name(self, address: Address) -> str:
        """Host and port, for messages."""
        return f"{self._host(address)}:{address[1] or self._settings.get('port', 6379)}"

    def _candidates(self, hint: Address | None) -> Iterator[Address]:
        nodes = [*self.primaries, *self.replicas]
        first = next(self._turn) % len(nodes)
        yield from dict.fromkeys([*([hint] if hint else []), *nodes[first:], *nodes[:first], SEED])

    async def _take_map(self, candidates: Iterator[Address] | Sequence[Address]) -> bool:
        for address in candidates:
            with contextlib.suppress(RedisError, TimeoutError):
                async with asyncio.timeout(MAP_SECONDS):
                    found = await self.client(address).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
                if found:
                    await self._take_in(_parsed(found, self._host(address)))
                    return True
        return False

    async def _take_in(self, ranges: Sequence[Range]) -> None:
        owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        for each in ranges:
            owners[each.first : each.last + 1] = [each.primary] * (each.last + 1 - each.first)
        self._owners = owners
        self.primaries = tuple(dict.fromkeys(each.primary for each in ranges))
        self.replicas = tuple(dict.fromkeys(replica for each in ranges for replica in each.replicas))
        self.version += 1
        for gone in self._clients.keys() - {SEED, *self.primaries, *self.replicas}:
            await self._clients.pop(gone).connection_pool.disconnect(inuse_connections=False)

    def _host(self, address: Address) -> str:
        return address[0] or str(self._settings.get("host", "localhost"))

    def _client(self, **settings: Any) -> Redis:
        # No retries inside redis-py: redis_client.py tries again, says so, and looks for a new primary first.
        always = {"retry": Retry(NoBackoff(), 0), "socket_read_size": READ_BYTES}
        kind: Any = self._settings.get("connection_class", Connection)
        return Redis.from_pool(ConnectionPool(**{**self._settings, **settings, **always, "connection_class": packing(kind)}))


async def _is_of_a_cluster(client: Redis) -> bool:
    """Managed servers that hide INFO are taken for single ones. StoreConfigError where the URL's database does not exist."""
    try:
        found = await client.info("cluster")
    except ResponseError as refused:
        if passes(refused):
            raise
        if str(refused).startswith(_NO_DATABASE):
            raise StoreConfigError(
                "REDIS_URL names a database that Redis does not have; a cluster has 0 alone: end it in /0"
            ) from refused
        return False
    return str(found.get("cluster_enabled", 0)) == "1"


def _parsed(found: list[list[Any]], asked: str) -> list[Range]:
    """The answer of CLUSTER SLOTS; a node that does not know its own address is where it was asked."""

    def address(node: list[Any]) -> Address:
        host = node[0].decode() if isinstance(node[0], bytes) else node[0]
        return (host if host and host != "?" else asked, int(node[1]))

    return [Range(each[0], each[1], address(each[2]), tuple(address(replica) for replica in each[3:])) for each in found]
