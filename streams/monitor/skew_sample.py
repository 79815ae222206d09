"""Which entities a comparison of served and offline features takes: a share of each group's by the hash of their ids.

An event is held if any entity it reads or writes is taken, so every event of a taken entity is there and its features come out
whole; those of others do not, and are not compared. A group of few entities is taken whole: of ten airports a share of 1 % would
never take one.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from featurestore.admission import picked
from featurestore.columns import GroupReads
from featurestore.entities import Interner
from featurestore.events import Bools, EventBatch, contract
from featurestore.layout import Group
from featurestore.plan import FeaturePlan
from monitors.hashing import below, hash_strings
from streams.errors import SkewUnknown

FEW_ENTITIES = 100
# Decoded events take some 400 bytes each: half a gigabyte, in a process of their own.
EVENTS_MAX = 1_000_000


class EntitySample:
    """Takes entities of one pipeline's groups, those named in ``left_out`` apart; holds the events that concern them."""

    def __init__(self, plan: FeaturePlan, share: float, left_out: Sequence[str] = (), events_max: int = EVENTS_MAX) -> None:
        self._plan, self._share, self._events_max = plan, share, events_max
        self.groups = [group for group in plan.groups if group.name not in left_out]
        self._whole: dict[str, set[int]] = {group.name: set() for group in self.groups}  # hashes of entities, while few
        self.given_up: list[str] = []  # groups of few entities whose events are too many
        self._held: list[EventBatch] = []
        self._events = 0

    def hold(self, batch: EventBatch) -> EventBatch:
        """What of the batch concerns an entity that is taken; for streams.history, as `keep`. The events are held here, too.

        SkewUnknown where they are more than memory is meant for.
        """
        before = len(self._whole)
        held = self._of_taken(batch)
        self._held.append(held)
        self._events += len(held)
        if self._events > self._events_max and self._whole:
            self.given_up += self._whole
            self.groups = [group for group in self.groups if group.name not in self._whole]
            self._whole = {}
        if len(self._whole) < before:
            self._held = [self._of_taken(one) for one in self._held]
            self._events = sum(map(len, self._held))
        if self._events > self._events_max:
            raise SkewUnknown(
                f"more than {self._events_max:,} events concern the sampled entities; take a shorter --last or a smaller --share"
            )
        return picked(batch, np.zeros(len(batch), dtype=np.bool_))  # the history itself need hold none

    def batches(self) -> list[EventBatch]:
        """Every event that concerns an entity taken."""
        return [batch for batch in self._held if len(batch)]

    def _of_taken(self, batch: EventBatch) -> EventBatch:
        if not self._plan.groups and batch.event is self._plan.scored:
            ids = [str(id) for id in batch.column(contract(batch.event).id)]
            return picked(batch, below(hash_strings(pa.array(ids, pa.string())), self._share))
        kept = np.zeros(len(batch), dtype=np.bool_)
        for group in self.groups:
            for fields in _roles(self._plan, group, batch):
                kept |= self.taken(group, batch, fields)[0]
        return picked(batch, kept)

    def comparable(self, reads: GroupReads, batch: EventBatch) -> Bools:
        """Of which scored events the group's features are whole, bool (n,): the entity is taken, or there is none."""
        if reads.group not in self.groups:
            return np.zeros(len(batch), dtype=np.bool_)
        taken, nobody = self.taken(reads.group, batch, reads.group.read_by)
        return taken | nobody

    def taken(self, group: Group, batch: EventBatch, fields: tuple[str, ...]) -> tuple[Bools, Bools]:
        """Which events' entity, in these fields, is taken, and which have none; bool (n,) each."""
        interner = Interner(self._plan.shards, group.on.missing)
        rows = interner.rows([batch.column(field) for field in fields])
        hashes = hash_strings(pa.array([id.decode() for id in interner.entities().ids], pa.string()))
        few = self._whole.get(group.name)
        if few is not None:
            few.update(hashes.tolist())
            if len(few) > FEW_ENTITIES:
                del self._whole[group.name]
        share = 1.0 if group.name in self._whole else self._share
        chosen = np.append(below(hashes, share), False)  # the last for row -1
        return chosen[rows], rows < 0


def _roles(plan: FeaturePlan, group: Group, batch: EventBatch) -> list[tuple[str, ...]]:
    """Under which fields an event of this kind meets the group: where it is added, and where it reads."""
    found = [group.by] if batch.event is group.on.event else []
    return found + ([group.read_by] if batch.event is plan.scored and group.read_by not in found else [])
