"""States in this process's memory: for tests, offline runs and the in-memory driver. The plainest form of the Store port."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from featurestore import kernel
from featurestore.errors import LayoutError
from featurestore.events import Floats, Ints, Source
from featurestore.layout import Group
from featurestore.store import NEVER, UNREAD, Merge, OnDropped, Read, States, nobody_asks


class MemoryStore:
    """See featurestore.store.Store; ``on_dropped`` is told of events that came too late."""

    def __init__(self, shards: int = 16, on_dropped: OnDropped = nobody_asks) -> None:
        self._shards, self._on_dropped = shards, on_dropped
        self._states: dict[str, dict[bytes, Floats]] = defaultdict(dict)
        self._fences: dict[tuple[str, Source], Ints] = {}

    def _fence(self, namespace: str, source: Source) -> Ints:
        return self._fences.setdefault((namespace, source), np.full(self._shards, NEVER, dtype=np.int64))

    async def fences(self, namespaces: Sequence[str], source: Source) -> list[Ints]:
        return [self._fence(namespace, source).copy() for namespace in namespaces]

    async def read(self, sources: Sequence[Source], reads: Sequence[Read]) -> list[States]:
        return [self._read(sources, read) for read in reads]

    def _read(self, sources: Sequence[Source], read: Read) -> States:
        held = self._states[read.namespace]
        rows = [_checked(held.get(id, read.group.empty), read.group, id) for id in read.entities.ids]
        states = np.array(rows).reshape(-1, read.group.length)
        fences = np.array([self._fence(read.namespace, source) for source in sources])
        return States(states, np.where(read.fences, fences, UNREAD))

    async def merge(self, sources: Sequence[Source], merges: Sequence[Merge]) -> list[Ints]:
        return [self._merge(sources, merge) for merge in merges]

    def _merge(self, sources: Sequence[Source], merge: Merge) -> Ints:
        fences = [self._fence(merge.namespace, source) for source in sources]
        held, group, dropped = self._states[merge.namespace], merge.group, merge.dropped
        found = np.full((len(sources), self._shards), UNREAD, dtype=np.int64)
        for shard in merge.shards:
            moved = [place for place, expected in enumerate(merge.expected[:, shard]) if expected != UNREAD]
            found[moved, shard] = [fences[place][shard] for place in moved]
            if (found[:, shard] != merge.expected[:, shard]).any():
                continue
            for row in np.flatnonzero(merge.entities.shards == shard):
                state = held.setdefault(merge.entities.ids[row], group.empty.copy())
                _checked(state, group, merge.entities.ids[row])
                dropped += int(kernel.merge(state, merge.deltas[row], group.rings, group.starts, group.ops, group.leaders))
            for place in moved:
                fences[place][shard] = merge.new[place, shard]
        if dropped:
            self._on_dropped(group.name, dropped)
        return found

    async def dump(self, namespace: str) -> dict[bytes, bytes]:
        return {id: state.tobytes() for id, state in self._states[namespace].items()}

    async def close(self) -> None:
        """Nothing to close."""


def _checked(state: Floats, group: Group, id: bytes) -> Floats:
    if len(state) != group.length:
        raise LayoutError(f"group {group.name}: a stored state has {len(state)} doubles, not {group.length}; drop its namespace")
    return state
