"""The columns that one group fills in the served vector: kernel codes, slots and names."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from featurestore.definitions import DECAYED, Aggregate, On
from featurestore.events import Floats, Ints
from featurestore.freshness import Policy, group_policies
from featurestore.kernel import AGGREGATES
from featurestore.layout import Group


@dataclass(frozen=True, slots=True, eq=False)
class GroupReads:
    """The columns that one group fills: kernel codes, the middle of each field's range, and places in the served vector."""

    group: Group
    columns: Ints  # (c, 5): window, aggregate, slots of count, value, square; sorted by window
    mids: Floats  # (c,)
    places: Ints  # (c,): positions in the served vector
    names: tuple[str, ...]
    policies: tuple[Policy, ...]


def group_reads(group: Group, place: int) -> GroupReads:
    """The columns of a group, from position `place` on."""
    columns, mids, names = [], [], []
    for w, field, aggregate, name in _wanted(group.on):
        columns.append((w, AGGREGATES[aggregate], *_slots_of(group, field, aggregate)))
        mids.append(group.grids[field].mid if field else 0.0)
        names.append(name)
    return GroupReads(
        group=group,
        columns=np.array(columns, dtype=np.int64).reshape(-1, 5),
        mids=np.array(mids),
        places=np.arange(place, place + len(columns), dtype=np.int64),
        names=tuple(f"{group.name}.{name}" for name in names),
        policies=group_policies(group.name, group.on, names),
    )


def _wanted(on: On) -> Iterator[tuple[int, str, Aggregate, str]]:
    """Window, field, aggregate and name (without the group's) of each column; the half-life is the window after the others."""
    wanted = [("", aggregate) for aggregate in on.aggregates]
    wanted += [(field, aggregate) for field, aggregates in on.fields.items() for aggregate in aggregates]
    for w, window in enumerate(on.windows):
        for field, aggregate in wanted:
            yield w, field, aggregate, ".".join(part for part in (field, aggregate.value, window) if part)
    if on.half_life:
        for field, aggregate in wanted:
            if aggregate in DECAYED:
                name = ".".join(part for part in (field, f"decayed_{aggregate.value}", on.half_life) if part)
                yield len(on.windows), field, aggregate, name


def _slots_of(group: Group, field: str, aggregate: Aggregate) -> tuple[int, int, int]:
    """Slots of the count, of the value (sum, minimum, maximum, newest) and of the squares."""
    count = group.slot(field, "count")
    match aggregate:
        case Aggregate.COUNT:
            return count, count, count
        case Aggregate.RATE if not field:
            return count, count, count
        case Aggregate.SECONDS_SINCE_LAST:
            return count, group.slot("", "newest"), count
        case Aggregate.MIN | Aggregate.MAX | Aggregate.LAST:
            return count, group.slot(field, aggregate.value), count
        case Aggregate.STD:
            return count, group.slot(field, "sum"), group.slot(field, "square")
    return count, group.slot(field, "sum"), count
