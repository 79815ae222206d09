"""The port between the flow and wherever states lie. Every adapter passes tests/featurestore/test_store_conformance.py.

A namespace holds one group's states in shards; every shard keeps a fence per source partition: the offset of the last event
merged. A merge is compare-and-set on the fence, so that no event is ever counted twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from featurestore.entities import Entities
from featurestore.events import Bools, Floats, Ints, Source
from featurestore.layout import Group

NEVER = -1  # the fence of a shard that has seen nothing of a source
UNREAD = -2  # stands in a fences array for one that was not asked, and is below them all


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Ask for the states of these entities, and for fences of shards they live in: ``fences`` bool (sources, shards)."""

    namespace: str
    group: Group
    entities: Entities
    fences: Bools


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """A read's answer: states float64 (entities, length), writable; fences int64 (sources, shards), UNREAD if not asked."""

    states: Floats
    fences: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Add deltas to the shards named, each if its fences are as expected, and move those fences to `new`.

    ``deltas`` float64 (entities, length), see featurestore.compute; entities of shards not named are left out; ``expected`` and
    ``new`` int64 (sources, all shards), UNREAD where a source adds nothing to a shard, whose fence is left alone; ``dropped``,
    how often an event came too late for its own chunk's delta, is told with what the store finds too late for its states.
    """

    namespace: str
    group: Group
    entities: Entities
    deltas: Floats
    shards: Sequence[int]
    expected: Ints
    new: Ints
    dropped: int = 0


OnDropped = Callable[[str, int], None]  # a group's name; how often an event came too late, counted by window


def nobody_asks(group: str, dropped: int) -> None:
    """For stores of which nobody wants to know."""


class Store(Protocol):
    """Where feature states live."""

    async def fences(self, namespaces: Sequence[str], source: Source) -> list[Ints]:
        """Every shard's fence for a source, int64 (shards,) for each namespace; NEVER where there is none."""
        ...

    async def read(self, sources: Sequence[Source], reads: Sequence[Read]) -> list[States]:
        """One round trip. Within a shard, states and fences are of one instant."""
        ...

    async def merge(self, sources: Sequence[Source], merges: Sequence[Merge]) -> list[Ints]:
        """One round trip. The fences found, int64 (sources, shards), UNREAD where none was expected.

        A shard was merged if all its fences were as expected; otherwise nothing of it was.
        """
        ...

    async def dump(self, namespace: str) -> dict[bytes, bytes]:
        """Every entity's state in a namespace: for tests and inspection, not for the hot path."""
        ...

    async def close(self) -> None: ...
