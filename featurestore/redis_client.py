"""Commands to Redis, one server or a cluster, in one pipelined round trip a node; what passes is tried again until it has passed.

Where a key lies is redis_topology.py's, which errors pass redis_errors.py's, how long to wait redis_tries.py's. On a cluster a
command goes to the primary of its key's slot; MOVED, ASK and a failover are followed. A command may thus be sent twice: only send
what may arrive twice (the merge script may, by its fence).
"""

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import AskError, MovedError, NoScriptError, RedisError

from featurestore.redis_errors import passes
from featurestore.redis_topology import SEED, Address, Topology
from featurestore.redis_tries import Tries, nobody_asks

log = logging.getLogger(__name__)

REDIRECTS_IN_A_ROW = 3  # more, and the nodes contradict each other: pause like for a node that is away
_BEHIND_COUNT = frozenset(("EVALSHA", "EVAL", "FCALL"))  # their first key is the fourth word; others' is the second

Command = tuple[Any, ...]
T = TypeVar("T")


def connect(
    url: str,
    scripts: Sequence[str] = (),
    on_retry: Callable[[], None] = lambda: None,
    on_away: Callable[[bool], None] = nobody_asks,
) -> "Client":
    """A client of the server, or of the cluster of the server, that the URL names; it connects at first use.

    `scripts` are loaded where an EVALSHA finds them missing; `on_retry` is called before each pause because Redis was away,
    `on_away` whenever it begins or ends to be (redis_tries.Tries).
    """
    return Client(Topology(url), scripts, Tries(on_retry, on_away))


def escaped(text: bytes) -> bytes:
    """A text as a glob that matches it alone, for `Client.scan`."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\^" else bytes([c]) for c in text)


def sha(script: str) -> str:
    """What EVALSHA calls a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Call:
    """Commands under way: which have no answer yet, where ASK sent them, and why the last round left any open."""

    commands: Sequence[Command]
    answers: list[Any]
    pending: list[int]
    asked: dict[int, Address] = field(default_factory=dict)
    redirects: int = 0
    moved: Address | None = None
    away: Exception | None = None


class Client:
    """See `connect`. Safe to use from many tasks of one event loop."""

    def __init__(self, topology: Topology, scripts: Sequence[str], tries: Tries) -> None:
        self._topology, self._tries = topology, tries
        self._scripts = {sha(script): script for script in scripts}

    async def clustered(self) -> bool:
        """Whether keys lie on several nodes, so that those of one command must share a hash tag."""
        await self._discover()
        return self._topology.clustered

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Sends each command to its key's node; the answers in the commands' order, errors that last as values.

        On a cluster the keys of one command must share a hash tag. Waits, however long, for what passes: see redis_errors.passes.
        """
        if not commands:
            return []
        await self._discover()
        call = _Call(commands, [None] * len(commands), list(range(len(commands))))
        with self._tries.of_a_call() as tries:
            while call.pending:
                seen = self._topology.version
                await self._round(call)
                if call.away is not None:
                    await tries.pause(call.away)
                if call.away is not None or call.moved is not None:
                    await self._topology.refresh(seen, call.moved)
        return call.answers

    async def scan(self, match: bytes) -> AsyncIterator[bytes]:
        """The keys of all primaries that match a glob. One may come twice; while slots move between nodes, one may be missed."""
        await self._discover()
        done: set[Address] = set()
        while left := [address for address in self._topology.primaries if address not in done]:
            cursor = 0
            while page := await self._of_primary(left[0], _page(cursor, match)):
                cursor, keys = page
                for key in keys:
                    yield key
                if cursor == 0:
                    done.add(left[0])
                    break

    async def info(self, section: str) -> dict[str, dict[str, Any]]:
        """A section of every node's INFO by its address. Replicas that do not answer are left out, primaries are waited for."""
        await self._discover()
        out: dict[Address, dict[str, Any]] = {}
        while left := [address for address in self._topology.primaries if address not in out]:
            if (found := await self._of_primary(left[0], lambda node: node.info(section))) is not None:
                out[left[0]] = found
        for address in self._topology.replicas:
            try:
                out[address] = await self._topology.client(address).info(section)
            except RedisError as away:
                log.warning("Redis replica %s does not answer (%s)", self._topology.name(address), away)
        return {self._topology.name(address): found for address, found in out.items()}

    async def aclose(self) -> None:
        await self._topology.close()

    async def _round(self, call: _Call) -> None:
        """Sends what is pending, one pipeline a node, all nodes at once; takes in the answers."""
        nodes = self._by_node(call)
        sent = [self._send(node, call.commands, rows, call.asked) for node, rows in nodes.items()]
        replies = await asyncio.gather(*sent) if len(sent) > 1 else [await sent[0]]  # a task costs some turns of the event loop
        call.pending, call.asked, call.moved, call.away = [], {}, None, None
        lost: list[Address] = []
        for (node, rows), answers in zip(nodes.items(), replies, strict=True):
            for row, answer in zip(rows, answers, strict=True):
                call.answers[row] = answer
                if isinstance(answer, Exception) and self._is_open(call, row, answer, node):
                    call.pending.append(row)
                    if isinstance(answer, NoScriptError):
                        lost.append(node)
        for node in dict.fromkeys(lost):
            await self._load(node)
        call.redirects = call.redirects + 1 if call.moved or call.asked else 0
        if call.redirects > REDIRECTS_IN_A_ROW and call.away is None:
            call.away = call.answers[call.pending[0]]

    def _by_node(self, call: _Call) -> Mapping[Address, list[int]]:
        if not self._topology.clustered:
            return {SEED: call.pending}
        nodes: dict[Address, list[int]] = defaultdict(list)
        for row in call.pending:
            nodes[call.asked.get(row) or self._topology.owner(_key(call.commands[row]))].append(row)
        return nodes

    def _is_open(self, call: _Call, row: int, answer: Exception, node: Address) -> bool:
        """Whether a command must be sent again, and where."""
        if isinstance(answer, AskError):  # MovedError is one, too
            target = (answer.host or node[0], answer.port)
            if isinstance(answer, MovedError):
                call.moved = target
            else:
                call.asked[row] = target
            return True
        if isinstance(answer, NoScriptError):
            return call.commands[row][1] in self._scripts
        if passes(answer):
            call.away = answer
            return True
        return False

    async def _send(self, node: Address, commands: Sequence[Command], rows: list[int], asked: Mapping[int, Address]) -> list[Any]:
        """One pipeline; where the node is away, its error as every answer."""
        pipeline = self._topology.client(node).pipeline(transaction=False)
        for row in rows:
            if row in asked:
                pipeline.execute_command("ASKING")
            pipeline.execute_command(*commands[row])
        try:
            answers = iter(await pipeline.execute(raise_on_error=False))
        except RedisError as error:
            return [error] * len(rows)
        return [(next(answers), next(answers))[1] if row in asked else next(answers) for row in rows]

    async def _load(self, node: Address) -> None:
        """Loads the scripts; a node that is away meanwhile is met again by the commands that wait for them."""
        try:
            for script in self._scripts.values():
                await self._topology.client(node).script_load(script)
        except RedisError as error:
            if not passes(error):
                raise

    async def _discover(self) -> None:
        if self._topology.known:
            return
        with self._tries.of_a_call() as tries:
            while not self._topology.known:
                try:
                    await self._topology.discover()
                except RedisError as error:
                    if not passes(error):
                        raise
                    await tries.pause(error)

    async def _of_primary(self, address: Address, call: Callable[[Redis], Awaitable[T]]) -> T | None:
        """A primary's answer, waited for; None once it is no primary any more."""
        with self._tries.of_a_call() as tries:
            while address in self._topology.primaries:
                seen = self._topology.version
                try:
                    return await call(self._topology.client(address))
                except RedisError as error:
                    if not passes(error):
                        raise
                    await tries.pause(error)
                    await self._topology.refresh(seen)
        return None


def _key(command: Command) -> bytes | str:
    key: bytes | str = command[3 if command[0] in _BEHIND_COUNT else 1]
    return key


def _page(cursor: int, match: bytes) -> Callable[[Redis], Awaitable[tuple[int, list[Any]]]]:
    return lambda node: node.scan(cursor, match=match, count=1_000)
