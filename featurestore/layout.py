"""How the state of one entity in one group lies in bytes, and what one event adds to it.

A state is a row of doubles: a header (layout version, time of the newest event, newest tile of each window), then for each
window a ring of tiles, each tile a cell of slots. A slot is combined by adding, by the smaller or by the larger value, so that
merging is commutative and associative: a chunk's delta is itself a state, and the order of merges leaves no trace.

Sums are exact (docs/decisions.md, "Exact sums on a grid"): a value x of a field declared on [lo, hi] is kept as its distance from
mid = (lo + hi) / 2, rounded to the grid g, the power of two just above half-range * 2^-30; its square on the grid of
half-range^2 * 2^-30. Doubles on a power-of-two grid add without rounding until 2^23 values at the end of the range meet in one
tile, so a sum is a function of the set of events, not of their order.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np

from featurestore.definitions import Aggregate, On, seconds
from featurestore.errors import DefinitionError
from featurestore.events import EventBatch, FieldType, Floats, Ints, contract, field_types

LAYOUT_VERSION = 1.0
VERSION, NEWEST, HEADS = 0, 1, 2  # positions in a state's header; HEADS is followed by one head tile a window


class Op(IntEnum):
    """How two values of a slot become one."""

    ADD = 0
    MIN = 1
    MAX = 2


IDENTITY = {Op.ADD: 0.0, Op.MIN: math.inf, Op.MAX: -math.inf}


class Grid(NamedTuple):
    """The grid a field is summed on: the middle of its range, and the steps of values and of squares."""

    mid: float
    step: float
    square_step: float

    @classmethod
    def of(cls, low: float, high: float) -> "Grid":
        """The grid of a field declared on [low, high].

        >>> Grid.of(0.0, 2.0**31).step
        2.0
        """
        half = (high - low) / 2
        return cls(low + half, _power_above(half * 2.0**-30), _power_above(half * half * 2.0**-30))


def _power_above(x: float) -> float:
    return float(2.0 ** (math.floor(math.log2(x)) + 1)) if x > 0 else 1.0


class Slot(NamedTuple):
    """One double of a tile: what is kept of which field ("" for the events themselves)."""

    field: str
    what: str  # "count", "sum", "square", "min" or "max"
    op: Op


_NEEDS = {
    Aggregate.COUNT: (),
    Aggregate.SUM: ("sum",),
    Aggregate.MEAN: ("sum",),
    Aggregate.STD: ("sum", "square"),
    Aggregate.MIN: ("min",),
    Aggregate.MAX: ("max",),
}
_OPS = {"count": Op.ADD, "sum": Op.ADD, "square": Op.ADD, "min": Op.MIN, "max": Op.MAX}


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A compiled feature group: names, entity fields, and the layout of its states.

    ``tile_seconds``, ``spans`` (tiles a window covers before the current one) and ``rings`` (tiles kept) have one entry a
    window; ``starts`` is each ring's first position in the state; ``ops`` one Op a slot; ``empty`` the state of an entity
    never seen; ``fingerprint`` changes with anything that changes bytes or their meaning.
    """

    name: str
    on: On
    topic: str
    by: tuple[str, ...]
    read_by: tuple[str, ...]
    slots: tuple[Slot, ...]
    grids: dict[str, Grid]
    tile_seconds: Floats
    spans: Ints
    rings: Ints
    starts: Ints
    ops: Ints
    empty: Floats
    fingerprint: str

    @property
    def length(self) -> int:
        """Doubles in a state."""
        return len(self.empty)

    @property
    def horizon_seconds(self) -> float:
        """How long after an entity's newest event its state can still tell in a vector: the longest ring, lateness included."""
        return float((self.rings * self.tile_seconds).max())

    def slot(self, field: str, what: str) -> int:
        """Position of a slot in a tile; a field that is never null shares the count of events."""
        for i, slot in enumerate(self.slots):
            if slot.field == field and slot.what == what:
                return i
        if what == "count":
            return 0
        raise KeyError((field, what))

    def contributions(self, batch: EventBatch) -> Floats:
        """What each event puts into each slot, shape (n, slots); a null field leaves its slots unchanged."""
        out = np.empty((len(batch), len(self.slots)))
        for i, slot in enumerate(self.slots):
            if slot.field == "":
                out[:, i] = 1.0
            else:
                out[:, i] = self._contribution(slot, batch.numbers(slot.field))
        return out

    def _contribution(self, slot: Slot, values: Floats) -> Floats:
        null = np.isnan(values)
        if slot.what == "count":
            return np.asarray(np.where(null, 0.0, 1.0))
        if slot.op is not Op.ADD:
            return np.asarray(np.where(null, IDENTITY[slot.op], values))
        grid = self.grids[slot.field]
        distance = np.round((values - grid.mid) / grid.step) * grid.step
        if slot.what == "square":
            distance = np.round(distance * distance / grid.square_step) * grid.square_step
        return np.asarray(np.where(null, 0.0, distance + 0.0))


def default_name(on: On) -> str:
    """The group's name where it has none: the event and the entity, such as ``arrival_by_origin``."""
    return on.name or f"{on.event.__name__.lower()}_by_{'_'.join(as_tuple(on.by))}"


def as_tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def compile_group(on: On) -> Group:
    """The layout of a declared group; DefinitionError, naming the group and the remedy, where the declaration is wrong."""
    name = default_name(on)
    types = field_types(on.event)
    by = as_tuple(on.by)
    _check(name, on, by, types)
    slots = _slots(on, types)
    lengths = [seconds(window) for window in on.windows]
    rings = [on.tiles + 1 + on.lateness_tiles for _ in lengths]
    header = HEADS + len(lengths)
    starts = [header + sum(rings[:i]) * len(slots) for i in range(len(rings))]
    cell = [IDENTITY[slot.op] for slot in slots]
    empty = [LAYOUT_VERSION, -math.inf, *[-math.inf] * len(lengths), *cell * sum(rings)]
    grids = {field: _grid(types[field]) for field in on.fields}
    return Group(
        name=name,
        on=on,
        topic=contract(on.event).topic,
        by=by,
        read_by=as_tuple(on.read_by or by),
        slots=slots,
        grids=grids,
        tile_seconds=np.array([length / on.tiles for length in lengths]),
        spans=np.array([on.tiles for _ in lengths], dtype=np.int64),
        rings=np.array(rings, dtype=np.int64),
        starts=np.array(starts, dtype=np.int64),
        ops=np.array([slot.op for slot in slots], dtype=np.int64),
        empty=np.array(empty),
        fingerprint=_fingerprint(on, by, slots, grids, lengths),
    )


def _grid(field: FieldType) -> Grid:
    assert field.low is not None
    assert field.high is not None
    return Grid.of(field.low, field.high)


def _slots(on: On, types: Mapping[str, FieldType]) -> tuple[Slot, ...]:
    found = [Slot("", "count", Op.ADD)]
    for field, aggregates in on.fields.items():
        needed = {what for aggregate in aggregates for what in _NEEDS[aggregate]}
        if types[field].nullable:
            needed.add("count")
        found += [Slot(field, what, op) for what, op in _OPS.items() if what in needed]
    return tuple(found)


def _fingerprint(on: On, by: tuple[str, ...], slots: tuple[Slot, ...], grids: dict[str, Grid], lengths: list[int]) -> str:
    meaning = (LAYOUT_VERSION, contract(on.event).topic, by, slots, grids, lengths, on.tiles, on.lateness_tiles, on.missing)
    return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:12]


def _check(name: str, on: On, by: tuple[str, ...], types: Mapping[str, FieldType]) -> None:
    def refuse(problem: str) -> None:
        raise DefinitionError(f"feature group {name!r}: {problem}")

    if not hasattr(on.fields, "values"):
        refuse("fields= maps each field to a list of aggregates, such as fields={'amount': [Mean, Max]}")
    if isinstance(on.windows, str):
        refuse(f"windows= is a list of durations, such as windows=[{on.windows!r}]")
    for aggregates in (on.aggregates, *on.fields.values()):
        if isinstance(aggregates, str) or not all(isinstance(aggregate, Aggregate) for aggregate in aggregates):
            refuse(
                f"{aggregates!r} is not a list of aggregates; choose from Count, Sum, Mean, Std, Min, Max, such as [Mean, Max]"
            )
    if not on.windows:
        refuse("it has no windows; declare for example windows=['5m', '1h']")
    if len(set(on.windows)) != len(on.windows):
        refuse(f"a window is declared twice in {list(on.windows)}; keep one of each")
    if not on.fields and not on.aggregates:
        refuse("it computes nothing; declare fields={'amount': [Mean]} or aggregates=[Count]")
    if on.tiles < 1 or on.lateness_tiles < 0:
        refuse("tiles must be at least 1 and lateness_tiles at least 0")
    if set(on.aggregates) - {Aggregate.COUNT}:
        refuse("aggregates= is of the events themselves and knows Count only; aggregates of a field go into fields=")
    for field in (*by, *on.fields):
        if field not in types:
            refuse(f"{on.event.__name__} has no field {field!r}; it has {', '.join(sorted(types))}")
    for field in by:
        if types[field].kind not in ("str", "int"):
            refuse(f"entity field {field!r} must be text or a whole number")
    for field in on.fields:
        _check_aggregated(name, field, types[field])


def _check_aggregated(name: str, field: str, declared: FieldType) -> None:
    if declared.kind not in ("float", "int", "bool"):
        raise DefinitionError(f"feature group {name!r}: field {field!r} is not a number, so it has no aggregates")
    if declared.low is None or declared.high is None or not declared.low <= declared.high:
        raise DefinitionError(
            f"feature group {name!r}: field {field!r} is aggregated but has no range; "
            f"declare it as Annotated[float, Meta(ge=..., le=...)] so that its sums can be exact"
        )
