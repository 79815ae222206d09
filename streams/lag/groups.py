"""Consumer groups as their coordinators tell of them: which there are, where each has committed, what their members have."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.admin import ListGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest

from streams.chunk import TP
from streams.lag.connection import PASSING, Connection
from streams.lag.members import NOT_KNOWN, Members, members

# Our own commands' groups that live as long as the command: they commit nothing.
THROW_AWAY = re.compile(r"tidegate-(tail|backfill)-[0-9a-f]{32}")
# These pass: the coordinator moves or is loading. Any other error says that the group has no offsets for us.
MOVING = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorForGroupError)
WITHOUT_OFFSETS = ("share", "connect")  # kinds of groups that keep their positions elsewhere
AT_ONCE = 100  # requests under way to one node; a broker answers one connection's in turn anyhow


@dataclass(frozen=True, slots=True)
class Group:
    """What a group has committed, as of the time `at`, and what its members have."""

    committed: dict[TP, int]
    members: Members
    at: float


@dataclass(frozen=True, slots=True)
class Answered:
    """``groups`` that told of themselves; ``unanswered`` are there and did not; ``whole``: every broker listed its groups."""

    groups: dict[str, Group] = field(default_factory=dict)
    unanswered: frozenset[str] = frozenset()
    whole: bool = True


def chosen(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a group is to be watched: by names or globs; by none, all but our own throw-away ones."""
    if not patterns:
        return lambda group: THROW_AWAY.fullmatch(group) is None
    return lambda group: any(fnmatchcase(group, pattern) for pattern in patterns)


async def ask(connection: Connection, wanted: Callable[[str], bool], clock: Callable[[], float]) -> Answered:
    """All that the cluster's brokers coordinate and `wanted` takes; a broker lists just those that it coordinates."""
    nodes = connection.nodes
    answers = await asyncio.gather(*(_of_node(connection, node, wanted, clock) for node in nodes), return_exceptions=True)
    groups: dict[str, Group] = {}
    unanswered: set[str] = set()
    whole = bool(nodes)
    for answer in answers:
        if isinstance(answer, PASSING):
            whole = False
        elif isinstance(answer, BaseException):
            raise answer
        else:
            groups |= answer.groups
            unanswered |= answer.unanswered
    return Answered(groups, frozenset(unanswered - groups.keys()), whole)


async def _of_node(connection: Connection, node: int, wanted: Callable[[str], bool], clock: Callable[[], float]) -> Answered:
    listed = await connection.send(node, ListGroupsRequest())
    if listed.error_code:
        raise for_code(listed.error_code)(f"node {node} did not list its groups")
    names = sorted(name for name, kind in listed.groups if kind not in WITHOUT_OFFSETS and wanted(name))
    having = await members(connection, node, names) if names else {}
    turns = asyncio.Semaphore(AT_ONCE)

    async def told(name: str) -> Group | None:
        async with turns:
            committed = await _committed(connection, node, name)
            return None if committed is None else Group(committed, having.get(name, NOT_KNOWN), clock())

    found = dict(zip(names, await asyncio.gather(*map(told, names)), strict=True))
    groups = {name: group for name, group in found.items() if group is not None}
    return Answered(groups, frozenset(found.keys() - groups.keys()))


async def _committed(connection: Connection, node: int, group: str) -> dict[TP, int] | None:
    """Every partition that the group has committed; None where its coordinator cannot say now."""
    answer = await connection.send(node, OffsetFetchRequest(group, None))
    if answer.error_code:
        return None if issubclass(for_code(answer.error_code), MOVING) else {}
    return {TP(topic, p): offset for topic, ps in answer.topics for p, offset, _, error in ps if not error and offset >= 0}
