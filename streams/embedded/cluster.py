"""A Redis Cluster on loopback, three primaries and three replicas, for tests of what only a cluster does: moves and failovers.

    with EmbeddedCluster() as cluster:
        primary = cluster.primary_of("{flights:3}:e:JFK")
        with cluster.cut_off(primary):       # what is written to it from here on, its replica never gets
            ...
            cluster.take_over(primary)       # kill -9; its replica is the primary now, and those writes are lost
        primary.start()                      # comes back as a replica
        cluster.wait_until_whole()

Every node is an EmbeddedRedis with a guardian of its own: `kill`, `pause`, `resume`, `start` and `restart` work as there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from streams.embedded.errors import EmbeddedError, ServerFailed
from streams.embedded.ports import LOOPBACK
from streams.embedded.valkey import EmbeddedRedis

PRIMARIES = 3
# Short, so that a failover takes seconds; long enough that a busy machine's pauses are not taken for deaths.
NODE_TIMEOUT_MS = 2_000
READY_SECONDS = 60.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class View:
    """A line of CLUSTER NODES: one node as another one, or itself, sees it."""

    id: str
    port: int
    flags: frozenset[str]
    primary_id: str
    epoch: int
    connected: bool
    slots: tuple[range, ...]

    @classmethod
    def parse(cls, line: str) -> View:
        id, address, flags, primary_id, _, _, epoch, link, *slots = line.split()
        port = int(address.partition("@")[0].rpartition(":")[2])
        ranges = [slot.partition("-") for slot in slots if not slot.startswith("[")]  # in brackets: slots on the move
        held = tuple(range(int(first), int(last or first) + 1) for first, _, last in ranges)
        return cls(id, port, frozenset(flags.split(",")), primary_id, int(epoch), link == "connected", held)

    @property
    def serves(self) -> bool:
        return "master" in self.flags and bool(self.slots)


class ClusterNode(EmbeddedRedis):
    """A server of a cluster. Its second port is the bus that the nodes talk over."""

    name: ClassVar[str] = "Valkey"
    port_count: ClassVar[int] = 2

    def __init__(self, *, node_timeout_ms: int, **options: Any) -> None:
        super().__init__(**options)
        self._node_timeout_ms = node_timeout_ms

    @property
    def bus_port(self) -> int:
        return self._ports[1]

    def ask(self, *command: str | bytes | int, timeout_seconds: float = 10.0) -> Any:
        """One command's answer, text as str; RedisError when the node is away or refuses."""
        with redis.Redis(port=self.port, host=LOOPBACK, socket_timeout=timeout_seconds, decode_responses=True) as client:
            return client.execute_command(*command)

    def view(self) -> dict[int, View]:
        """What this node believes of every node, by port; empty when it does not answer."""
        try:
            lines = self.ask("CLUSTER", "NODES", timeout_seconds=1.0).splitlines()
        except redis.RedisError:
            return {}
        return {view.port: view for view in map(View.parse, lines)}

    def itself(self) -> View | None:
        return self.view().get(self.port)

    def _options(self) -> dict[str, str]:
        return super()._options() | {
            "--cluster-enabled": "yes",
            "--cluster-port": str(self.bus_port),
            "--cluster-node-timeout": str(self._node_timeout_ms),
            "--cluster-replica-validity-factor": "0",  # a replica that was cut off may still take over, and lose writes
            "--cluster-allow-replica-migration": "no",  # who is whose replica stays as it was made
            "--repl-diskless-sync-delay": "0",
            "--repl-ping-replica-period": "1",
        }


class EmbeddedCluster:
    """Three primaries with a third of the slots each, and a replica for every one. Roles change; ask `primaries`."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        appendonly: bool = False,
        node_timeout_ms: int = NODE_TIMEOUT_MS,
        binary: Path | None = None,
    ) -> None:
        options: dict[str, Any] = {"environ": os.environ if environ is None else environ, "appendonly": appendonly}
        self.nodes = [ClusterNode(node_timeout_ms=node_timeout_ms, binary=binary, **options) for _ in range(2 * PRIMARIES)]
        self._ids: dict[int, str] = {}

    @property
    def url(self) -> str:
        """The URL of a node that runs: a client asks it for the others."""
        return next(node.url for node in self.nodes if node.running)

    def start(self) -> Self:
        """Starts the nodes, makes them one cluster, and returns when it serves and every replica is in step."""
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(ClusterNode.start, self.nodes))
        self._introduce()
        primaries, replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        for primary, replica in zip(primaries, replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", self._ids[primary.port])
        self.wait_until_whole()
        return self

    def close(self) -> None:
        """Stops all nodes and removes their data."""
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(ClusterNode.close, self.nodes))

    @property
    def primaries(self) -> list[ClusterNode]:
        """The nodes that answer and serve slots."""
        return [node for node in self.nodes if node.running and (view := node.itself()) and view.serves]

    def primary_of(self, key: str | bytes) -> ClusterNode:
        """The primary of a key's slot. Where two claim it, a failover's news have not reached one: the higher epoch has it."""
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        views = [(view.epoch, node) for node in self.nodes if node.running and (view := node.itself()) and _has(view, slot)]
        if not views:
            raise EmbeddedError(f"no node of the cluster serves slot {slot}; start the nodes that were killed")
        return max(views, key=lambda each: each[0])[1]

    def replica_of(self, primary: ClusterNode) -> ClusterNode:
        """A primary's replica, as the replica sees it."""
        for node in self.nodes:
            if node is not primary and node.running and (view := node.itself()) and view.primary_id == self._ids[primary.port]:
                return node
        raise EmbeddedError(f"the cluster's node on port {primary.port} has no replica; start the nodes that were killed")

    @contextlib.contextmanager
    def cut_off(self, primary: ClusterNode) -> Iterator[ClusterNode]:
        """The primary's replica, which gets no writes within the block, though both go on talking on the bus.

        The replica is given a password that the primary does not know, and its link is cut: every new one is refused. (To
        pause the replica would not do: what the primary had sent is in the kernel's buffers and arrives after its death.)
        """
        replica = self.replica_of(primary)
        replica.ask("CONFIG", "SET", "masterauth", "not-the-password")
        replica.ask("CLIENT", "KILL", "TYPE", "master")
        self._wait("cut a replica off", lambda: _replication(replica)["master_link_status"] != "up")
        try:
            yield replica
        finally:
            if replica.running:
                replica.ask("CONFIG", "SET", "masterauth", "")

    def behind_bytes(self, primary: ClusterNode) -> int:
        """How much of the primary's stream of writes its replica has not got: what a failover now would lose."""
        sent = int(_replication(primary)["master_repl_offset"])
        return max(0, sent - int(_replication(self.replica_of(primary))["slave_repl_offset"]))

    def take_over(self, primary: ClusterNode) -> ClusterNode:
        """Kills the primary (SIGKILL) and has its replica take its slots at once, votes or not; the new primary."""
        replica = self.replica_of(primary)
        primary.kill()
        replica.ask("CLUSTER", "FAILOVER", "TAKEOVER")
        self._wait_until_it_serves(replica)
        return replica

    def hand_over(self, primary: ClusterNode) -> ClusterNode:
        """An orderly failover, in which nothing is lost: the two change roles; the new primary."""
        replica = self.replica_of(primary)
        replica.ask("CLUSTER", "FAILOVER")
        self._wait_until_it_serves(replica)
        return replica

    @contextlib.contextmanager
    def moving(self, slot: int, target: ClusterNode) -> Iterator[Callable[[int], int]]:
        """A slot on its way to another primary. The yielded function moves up to so many keys and tells how many it moved.

        At the block's end the rest is moved and the slot is the target's. Moves are by key, as redis-cli does them.
        """
        source = next(node for node in self.primaries if (view := node.itself()) and _has(view, slot))
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self._ids[source.port])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self._ids[target.port])

        def move(count: int) -> int:
            keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, count)
            if keys:
                source.ask("MIGRATE", LOOPBACK, target.port, "", 0, 5_000, "KEYS", *keys)
            return len(keys)

        yield move
        while move(1_000):
            pass
        for node in (target, source, *(node for node in self.primaries if node not in (target, source))):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", self._ids[target.port])

    def wait_until_whole(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Until every node that runs calls the cluster's state ok, every replica is linked to its primary, and all tell so."""

        def whole() -> bool:
            running = [node for node in self.nodes if node.running]
            return all(_is_well(node) for node in running) and _agree(running) and _tell_clients(running)

        self._wait("be whole", whole, timeout_seconds)

    def _introduce(self) -> None:
        """Slots, epochs, and who else there is. Epochs by hand: equal ones would be sorted out only while they gossip."""
        bounds = [REDIS_CLUSTER_HASH_SLOTS * i // PRIMARIES for i in range(PRIMARIES + 1)]
        for i, node in enumerate(self.nodes):
            self._ids[node.port] = node.ask("CLUSTER", "MYID")
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            if i < PRIMARIES:
                node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
        for first, second in itertools.combinations(self.nodes, 2):  # all pairs: gossip alone takes seconds
            first.ask("CLUSTER", "MEET", LOOPBACK, second.port, second.bus_port)
        self._wait("know each other", lambda: all(_knows(node, len(self.nodes)) for node in self.nodes))

    def _wait_until_it_serves(self, node: ClusterNode) -> None:
        def everybody_knows() -> bool:
            views = [view for each in self.nodes if each.running and (view := each.view())]
            return all(node.port in view and view[node.port].serves for view in views)

        self._wait("agree on a new primary", everybody_knows)

    def _wait(self, what: str, condition: Callable[[], bool], timeout_seconds: float = READY_SECONDS) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > deadline:
                node = self.nodes[0]
                raise ServerFailed(f"The cluster's nodes did not {what} in {timeout_seconds:.0f} s", node.log, node.remedy)
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _has(view: View, slot: int) -> bool:
    return "master" in view.flags and any(slot in held for held in view.slots)


def _knows(node: ClusterNode, count: int) -> bool:
    """Whether a node has shaken hands with all others."""
    views = node.view().values()
    return len(views) == count and all(view.connected and not view.flags & {"handshake", "noaddr"} for view in views)


def _agree(nodes: Sequence[ClusterNode]) -> bool:
    """Whether each of them sees every other as what that one is itself: a primary, or whose replica. Gossip takes a while."""
    views = {node.port: node.view() for node in nodes}
    own = {port: view[port].primary_id for port, view in views.items() if port in view}
    return len(own) == len(views) and all(
        port in view and view[port].primary_id == primary_id for view in views.values() for port, primary_id in own.items()
    )


def _tell_clients(nodes: Sequence[ClusterNode]) -> bool:
    """Whether each tells clients of all others. A replica is left out until gossip has brought that it has got anything."""
    ports = {node.port for node in nodes}
    try:
        maps = [node.ask("CLUSTER", "SLOTS", timeout_seconds=1.0) for node in nodes]
    except redis.RedisError:
        return False
    return all(ports <= {told[1] for held in each for told in held[2:]} for each in maps)


def _replication(node: ClusterNode) -> dict[str, Any]:
    with redis.Redis(host=LOOPBACK, port=node.port, socket_timeout=5.0) as client:
        return dict(client.info("replication"))


def _is_well(node: ClusterNode) -> bool:
    try:
        state = node.ask("CLUSTER", "INFO", timeout_seconds=1.0)
        replication = _replication(node)
    except redis.RedisError:
        return False
    return "cluster_state:ok" in state and (replication["role"] == "master" or replication["master_link_status"] == "up")
