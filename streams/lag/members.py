"""Which partitions the members of consumer groups have: asked by both of Kafka's protocols, without joining anything.

Groups of the protocol that Kafka 4 brought (KIP-848) are told by a request of their own, which aiokafka 0.14 lacks; to the old
one they are dead. aiokafka's newest form of the old one cannot be used: its response is decoded by the wrong schema.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.admin import DescribeGroupsRequest_v2
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from streams.chunk import TP
from streams.lag.connection import Connection

SETTLED = frozenset({"Stable", "Empty", "Dead"})  # in any other state members are about to get other partitions
DEAD = "Dead"
TEXT = CompactString("utf-8")


@dataclass(frozen=True, slots=True)
class Members:
    """``owned`` None: not known now."""

    owned: frozenset[TP] | None

    def owns(self, tp: TP) -> bool:
        return self.owned is None or tp in self.owned


NOT_KNOWN = Members(None)


async def members(connection: Connection, node: int, groups: Sequence[str]) -> dict[str, Members]:
    """Of groups that this node coordinates; a group that it does not tell of is NOT_KNOWN."""
    answer = await connection.send(node, _DescribeGroups(groups))
    told = {group: (state, kind, found) for _, group, state, kind, _, found in answer.groups}
    found = {name: _classic(state, kind, ones) for name, (state, kind, ones) in told.items() if state != DEAD}
    others = [group for group in groups if group not in found]
    return dict.fromkeys(groups, NOT_KNOWN) | found | await _of_new_protocol(connection, node, others)


def _classic(state: str, kind: str, ones: Sequence[Any]) -> Members:
    """Assignments are the members' own bytes; only those of kind "consumer" are known to be partitions."""
    if state not in SETTLED or (ones and kind != "consumer"):
        return NOT_KNOWN
    return Members(frozenset(tp for *_, assignment in ones if assignment for tp in _partitions(assignment)))


def _partitions(assignment: bytes) -> list[TP]:
    decoded = ConsumerProtocolMemberAssignment.decode(BytesIO(assignment))
    return [TP(topic, partition) for topic, partitions in decoded.assignment for partition in partitions]


async def _of_new_protocol(connection: Connection, node: int, groups: Sequence[str]) -> dict[str, Members]:
    if not groups:
        return {}
    try:
        answer = await connection.send(node, _ConsumerGroupDescribe(groups))
    except IncompatibleBrokerVersion:
        return {}
    return {one[2]: Members(_assigned(one[7])) for one in answer.groups if one[0] == 0}


def _assigned(ones: Sequence[Any]) -> frozenset[TP]:
    """A member's ninth field is what it has, as opposed to what it shall get."""
    return frozenset(TP(topic, p) for one in ones for _, topic, partitions, _ in one[8][0] for p in partitions)


class _DescribeGroups(Request[DescribeGroupsRequest_v2]):  # type: ignore[misc]
    API_KEY = 15

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = list(groups)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._groups)


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    """A topic's id: 16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_PARTITIONS = Schema(
    ("partitions", CompactArray(("id", _Uuid), ("topic", TEXT), ("partitions", CompactArray(Int32)), ("tags", TaggedFields))),
    ("tags", TaggedFields),
)


class _ConsumerGroupDescribeResponse(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 69, 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "groups",
            CompactArray(
                ("error", Int16),
                ("message", TEXT),
                ("group", TEXT),
                ("state", TEXT),
                ("epoch", Int32),
                ("assignment_epoch", Int32),
                ("assignor", TEXT),
                (
                    "members",
                    CompactArray(
                        ("id", TEXT),
                        ("instance", TEXT),
                        ("rack", TEXT),
                        ("epoch", Int32),
                        ("client", TEXT),
                        ("host", TEXT),
                        ("topics", CompactArray(TEXT)),
                        ("regex", TEXT),
                        ("assignment", _PARTITIONS),
                        ("target", _PARTITIONS),
                        ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ConsumerGroupDescribeRequest(RequestStruct):  # type: ignore[misc]
    API_KEY, API_VERSION, FLEXIBLE_VERSION = 69, 0, True
    RESPONSE_TYPE = _ConsumerGroupDescribeResponse
    SCHEMA = Schema(("groups", CompactArray(TEXT)), ("operations", Boolean), ("tags", TaggedFields))


class _ConsumerGroupDescribe(Request[_ConsumerGroupDescribeRequest]):  # type: ignore[misc]
    API_KEY = 69

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = list(groups)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._groups, False, {})
