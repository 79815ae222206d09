"""Which events count in which group, beyond what the fences say: not those from before a Parquet cut, nor those of the forgotten.

A function of the event and of what is kept for good (the namespace's entry, the erasure log), never of the moment: whoever merges
an event again decides the same.
"""

import hashlib
import hmac
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from featurestore.entities import encode_entity
from featurestore.events import Bools, EventBatch
from featurestore.layout import Group

CACHED = 100_000  # entities whose hashes are kept

Admits = Callable[[Group, EventBatch], Bools]  # bool (n,): which events of the batch count in the group


@dataclass(frozen=True, slots=True)
class Erasure:
    """An entity forgotten: its fields, the keyed hash of its values, and when (seconds since the epoch)."""

    fields: tuple[str, ...]
    hash: str
    when: float


def entity_hash(key: bytes, values: Mapping[str, Any]) -> str:
    """HMAC-SHA-256 of an entity's fields and values, in order of the fields' names; hexadecimal.

    >>> entity_hash(b"k", {"b": 1, "a": "x"}) == entity_hash(b"k", {"a": "x", "b": "1"})
    True
    """
    text = encode_entity(tuple(part for name in sorted(values) for part in (name, values[name])))
    return hmac.new(key, text, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Erasures:
    """The erasure log as a question: is this event of somebody forgotten, and older than the act?

    ``names`` maps a field to all fields that hold the same entities, itself included (``read_by=``); one not named is alone.
    """

    key: bytes
    acts: Sequence[Erasure]
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _hashes: dict[Any, str] = field(default_factory=dict, repr=False)

    def kept(self, batch: EventBatch) -> Bools:
        """bool (n,): False for the events that are to be left out."""
        kept = np.ones(len(batch), dtype=np.bool_)
        if batch.times.min(initial=np.inf) >= max((act.when for act in self.acts), default=-np.inf):
            return kept  # nearly always: what is new is younger than every act
        for fields in dict.fromkeys(act.fields for act in self.acts):
            acts = {act.hash: act.when for act in self.acts if act.fields == fields}  # the newest of an entity stays
            for columns in self._columns(batch.event.__struct_fields__, fields):
                values = list(zip(*(batch.column(name) for name in columns), strict=True))
                whens = [acts.get(self._hash(fields, value), -np.inf) for value in values]
                kept &= batch.times >= np.array(whens, dtype=np.float64)
        return kept

    def concern(self, by: Sequence[str], values: Sequence[str]) -> bool:
        """Whether a state of an entity, of these values in the group's fields, is of somebody forgotten, alone or with others."""
        held = dict(zip(by, values, strict=True))
        for fields in dict.fromkeys(act.fields for act in self.acts):
            hashes = {act.hash for act in self.acts if act.fields == fields}
            found = (tuple(held[name] for name in columns) for columns in self._columns(by, fields))
            if any(self._hash(fields, value) in hashes for value in found):
                return True
        return False

    def _columns(self, there: Iterable[str], fields: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Which of the fields there are may hold such an entity, under each of its names."""
        known = set(there)
        choices = itertools.product(*(self.names.get(name, (name,)) for name in fields))
        return [columns for columns in choices if known.issuperset(columns)]

    def _hash(self, fields: tuple[str, ...], values: tuple[Any, ...]) -> str:
        found = self._hashes.get((fields, values))
        if found is None:
            if len(self._hashes) >= CACHED:
                self._hashes.clear()
            found = self._hashes[fields, values] = entity_hash(self.key, dict(zip(fields, values, strict=True)))
        return found


def same_entities(groups: Iterable[Group]) -> dict[str, tuple[str, ...]]:
    """Which fields hold the same entities, by the groups' ``by=`` and ``read_by=``: each field with all its names, sorted."""
    names: dict[str, set[str]] = {}
    for group in groups:
        for one, other in zip(group.by, group.read_by, strict=True):
            together = names.get(one, {one}) | names.get(other, {other})
            for name in together:
                names[name] = together
    return {name: tuple(sorted(together)) for name, together in names.items()}


@dataclass(frozen=True, slots=True)
class Admission:
    """``cuts`` maps a group's name to the event time from which on its events count."""

    cuts: Mapping[str, float] = field(default_factory=dict)
    erasures: Erasures | None = None

    def __call__(self, group: Group, batch: EventBatch) -> Bools:
        if not self:
            return np.ones(len(batch), dtype=np.bool_)
        counted = np.asarray(batch.times >= self.cuts.get(group.name, -np.inf))
        return counted if self.erasures is None else counted & self.erasures.kept(batch)

    def __bool__(self) -> bool:
        return bool(self.cuts) or self.erasures is not None


def picked(batch: EventBatch, rows: Bools) -> EventBatch:
    """The batch with these rows only."""
    kept = np.flatnonzero(rows)
    return replace(
        batch,
        offsets=batch.offsets[kept],
        ingested=batch.ingested[kept],
        times=batch.times[kept],
        keys=[batch.keys[i] for i in kept.tolist()],
        events=[batch.events[i] for i in kept.tolist()],
        parts=tuple((source, int((batch.part[kept] == place).sum())) for place, (source, _) in enumerate(batch.parts)),
        _kept={},
    )
