"""How the state of one entity in one group lies in bytes, and what one event adds to it.

A state is a row of doubles: a header (layout version, time of the newest event, newest tile of each window), then for each
window (and for the half-life) a ring of tiles, each tile a cell of slots. A slot is combined by adding, by the smaller or by the
larger value, or, a leader with its followers, as the larger tuple, so that merging is commutative and associative: a chunk's
delta is itself a state, and the order of merges leaves no trace.

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

from featurestore.checks import check_group
from featurestore.definitions import Aggregate, On, policies, seconds
from featurestore.events import Bools, EventBatch, FieldType, Floats, Ints, contract, field_types
from featurestore.kernel import HALF_LIFE_TILES, HALF_LIVES

LAYOUT_VERSION = 1.0
VERSION, NEWEST, HEADS = 0, 1, 2  # positions in a state's header; HEADS is followed by one head tile a window


class Op(IntEnum):
    """How two values of a slot become one."""

    ADD = 0
    MIN = 1
    MAX = 2
    LEADER = 3  # with the followers behind it: the larger tuple as a whole
    FOLLOWER = 4


IDENTITY = {Op.ADD: 0.0, Op.MIN: math.inf, Op.MAX: -math.inf, Op.LEADER: -math.inf, Op.FOLLOWER: -math.inf}


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
    what: str  # a key of _OPS
    op: Op


_NEEDS = {
    Aggregate.COUNT: (),
    Aggregate.SUM: ("sum",),
    Aggregate.MEAN: ("sum",),
    Aggregate.STD: ("sum", "square"),
    Aggregate.MIN: ("min",),
    Aggregate.MAX: ("max",),
    Aggregate.LAST: ("last_time", "last_partition", "last_offset", "last"),
    Aggregate.RATE: ("sum",),
    Aggregate.SECONDS_SINCE_LAST: ("newest",),
}
_OPS = {
    "count": Op.ADD,
    "sum": Op.ADD,
    "square": Op.ADD,
    "min": Op.MIN,
    "max": Op.MAX,
    "newest": Op.MAX,
    # A group has one topic, so (time, partition, offset) says which event is the newest, and no two have the same.
    "last_time": Op.LEADER,
    "last_partition": Op.FOLLOWER,
    "last_offset": Op.FOLLOWER,
    "last": Op.FOLLOWER,
}


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A compiled feature group: names, entity fields, and the layout of its states.

    ``tile_seconds``, ``spans`` (tiles a window covers before the current one), ``rings`` (tiles kept) and ``decays`` (whether
    read with weights) have one entry a window, the half-life being the last; ``starts`` is each ring's first position in the
    state; ``ops`` one Op a slot and ``leaders`` the slots of leaders, None without any; ``empty`` the state of an entity never
    seen; ``fingerprint`` changes with anything that changes bytes or their meaning.
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
    decays: Bools
    starts: Ints
    ops: Ints
    leaders: Ints | None
    empty: Floats
    fingerprint: str

    @property
    def length(self) -> int:
        """Doubles in a state."""
        return len(self.empty)

    @property
    def horizon_seconds(self) -> float:
        """How long after an entity's newest event its state can still tell in a vector.

        The longest ring, lateness included, or the longest max_age: a value within it is fresh, without the state it is missing.
        """
        ages = [seconds(freshness.max_age) for freshness in policies(self.on)]
        return float(max([*(self.rings * self.tile_seconds).tolist(), *ages]))

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
                out[:, i] = batch.times if slot.what == "newest" else 1.0
            else:
                out[:, i] = self._contribution(slot, batch)
        return out

    def _contribution(self, slot: Slot, batch: EventBatch) -> Floats:
        values = batch.numbers(slot.field)
        null = np.isnan(values)
        if slot.what == "count":
            return np.asarray(np.where(null, 0.0, 1.0))
        if slot.op is not Op.ADD:
            kept = _position(slot, batch)
            return np.asarray(np.where(null, IDENTITY[slot.op], values if kept is None else kept))
        grid = self.grids[slot.field]
        distance = np.round((values - grid.mid) / grid.step) * grid.step
        if slot.what == "square":
            distance = np.round(distance * distance / grid.square_step) * grid.square_step
        return np.asarray(np.where(null, 0.0, distance + 0.0))


def _position(slot: Slot, batch: EventBatch) -> Floats | None:
    """Where each event stands in the order of its topic, for the slots that say which event is the newest."""
    match slot.what:
        case "last_time":
            return batch.times
        case "last_partition":
            return batch.partitions.astype(np.float64)
        case "last_offset":
            return batch.offsets.astype(np.float64)
    return None


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
    check_group(name, on, by, types)
    slots = _slots(on, types)
    lengths = [seconds(window) for window in on.windows]
    tile_seconds, spans = [length / on.tiles for length in lengths], [on.tiles] * len(lengths)
    if on.half_life:
        tile_seconds.append(seconds(on.half_life) / HALF_LIFE_TILES)
        spans.append(HALF_LIVES * HALF_LIFE_TILES)
    rings = [span + 1 + on.lateness_tiles for span in spans]
    header = HEADS + len(rings)
    starts = [header + sum(rings[:i]) * len(slots) for i in range(len(rings))]
    cell = [IDENTITY[slot.op] for slot in slots]
    empty = [LAYOUT_VERSION, -math.inf, *[-math.inf] * len(rings), *cell * sum(rings)]
    grids = {field: _grid(types[field]) for field in on.fields}
    return Group(
        name=name,
        on=on,
        topic=contract(on.event).topic,
        by=by,
        read_by=as_tuple(on.read_by or by),
        slots=slots,
        grids=grids,
        tile_seconds=np.array(tile_seconds),
        spans=np.array(spans, dtype=np.int64),
        rings=np.array(rings, dtype=np.int64),
        decays=np.arange(len(rings)) >= len(lengths),
        starts=np.array(starts, dtype=np.int64),
        ops=np.array([slot.op for slot in slots], dtype=np.int64),
        leaders=_leaders(slots),
        empty=np.array(empty),
        fingerprint=_fingerprint(on, by, slots, grids, lengths),
    )


def _leaders(slots: tuple[Slot, ...]) -> Ints | None:
    """None rather than empty: the kernel is compiled once more for groups with leaders, and stays as fast for the others."""
    found = [i for i, slot in enumerate(slots) if slot.op is Op.LEADER]
    return np.array(found, dtype=np.int64) if found else None


def _grid(field: FieldType) -> Grid:
    assert field.low is not None
    assert field.high is not None
    return Grid.of(field.low, field.high)


def _slots(on: On, types: Mapping[str, FieldType]) -> tuple[Slot, ...]:
    found = [Slot("", "count", Op.ADD)]
    if Aggregate.SECONDS_SINCE_LAST in on.aggregates:
        found.append(Slot("", "newest", Op.MAX))
    for field, aggregates in on.fields.items():
        needed = {what for aggregate in aggregates for what in _NEEDS[aggregate]}
        if types[field].nullable:
            needed.add("count")
        found += [Slot(field, what, op) for what, op in _OPS.items() if what in needed]
    return tuple(found)


def _fingerprint(on: On, by: tuple[str, ...], slots: tuple[Slot, ...], grids: dict[str, Grid], lengths: list[int]) -> str:
    half_life = (seconds(on.half_life), HALF_LIVES, HALF_LIFE_TILES) if on.half_life else ()  # a group without it keeps its name
    windows = (lengths, on.tiles, on.lateness_tiles)
    personal = [field for field in by if field in contract(on.event).personal]  # their keys are hashes
    hashed = ({"personal": personal},) if personal else ()
    meaning = (LAYOUT_VERSION, contract(on.event).topic, by, slots, grids, *windows, on.missing, *half_life, *hashed)
    return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:12]
