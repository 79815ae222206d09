"""A pipeline's features compiled: which groups are read, which a topic writes, and which column comes from where."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.definitions import Aggregate, Category, DayOfWeek, Feature, HourOfDay, On, Ratio, Raw
from featurestore.errors import DefinitionError
from featurestore.events import Event, EventBatch, Floats, Ints, field_types
from featurestore.kernel import AGGREGATES
from featurestore.layout import Group, compile_group
from featurestore.schema import FeatureColumn, FeatureKind, FeatureSchema


@dataclass(frozen=True, slots=True, eq=False)
class GroupReads:
    """The columns that one group fills: kernel codes, the middle of each field's range, and places in the served vector."""

    group: Group
    columns: Ints  # (c, 5): window, aggregate, slots of count, value, square; sorted by window
    mids: Floats  # (c,)
    places: Ints  # (c,): positions in the served vector
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventColumn:
    """A column computed from the scored event alone: its place in the vector and the function from a batch to (n,) values."""

    place: int
    compute: Callable[[EventBatch], Floats]


@dataclass(frozen=True, slots=True)
class RatioColumn:
    """A column computed from two others."""

    place: int
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True, eq=False)
class FeaturePlan:
    """What the kernel needs to know of a pipeline, and the schema of its vectors. Made by ``compile_plan``."""

    pipeline: str
    scored: type[Event]
    shards: int
    schema: FeatureSchema
    reads: tuple[GroupReads, ...]
    event_columns: tuple[EventColumn, ...]
    ratios: tuple[RatioColumn, ...]

    @property
    def groups(self) -> tuple[Group, ...]:
        return tuple(read.group for read in self.reads)

    @property
    def events(self) -> tuple[type[Event], ...]:
        """Every event consumed for features: the scored one first."""
        return tuple(dict.fromkeys([self.scored, *(group.on.event for group in self.groups)]))

    def written_by(self, topic: str) -> tuple[Group, ...]:
        """The groups that a topic's events are merged into."""
        return tuple(group for group in self.groups if group.topic == topic)

    def namespace(self, group: Group) -> str:
        """The name that a group's state is stored under; a changed layout is a new namespace."""
        return f"{self.pipeline}.{group.name}.v{group.on.version}.{group.fingerprint}"


def compile_plan(pipeline: str, scored: type[Event], features: Sequence[Feature], shards: int = 16) -> FeaturePlan:
    """Checks a pipeline's features and lays out its vectors; DefinitionError names the feature at fault and the remedy."""
    columns: list[FeatureColumn] = []
    reads: list[GroupReads] = []
    event_columns: list[EventColumn] = []
    ratios: list[Ratio] = []
    for feature in features:
        if isinstance(feature, On):
            reads.append(_group_reads(feature, scored, len(columns)))
            columns += [FeatureColumn(name, FeatureKind.NUMBER) for name in reads[-1].names]
        elif isinstance(feature, Ratio):
            ratios.append(feature)
        else:
            column, compute = _event_column(feature, scored)
            event_columns.append(EventColumn(len(columns), compute))
            columns.append(column)
    places = {column.name: i for i, column in enumerate(columns)}
    ratio_columns = [_ratio_column(ratio, places, len(columns) + i) for i, ratio in enumerate(ratios)]
    columns += [FeatureColumn(ratio.name, FeatureKind.NUMBER) for ratio in ratios]
    _refuse_twice("feature", [column.name for column in columns])
    _refuse_twice("feature group", [read.group.name for read in reads])
    return FeaturePlan(
        pipeline=pipeline,
        scored=scored,
        shards=shards,
        schema=FeatureSchema(tuple(columns)),
        reads=tuple(reads),
        event_columns=tuple(event_columns),
        ratios=tuple(ratio_columns),
    )


def _refuse_twice(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"{what} {name!r} is declared twice; keep one of them, or give a group another name=")


def _group_reads(on: On, scored: type[Event], place: int) -> GroupReads:
    group = compile_group(on)
    types = field_types(scored)
    for field in group.read_by:
        if field not in types:
            raise DefinitionError(
                f"feature group {group.name!r}: the scored event {scored.__name__} has no field {field!r} to find the entity by; "
                f"name its fields with read_by="
            )
    columns, mids, names = [], [], []
    for w, window in enumerate(on.windows):
        wanted = [("", aggregate) for aggregate in on.aggregates]
        wanted += [(field, aggregate) for field, aggregates in on.fields.items() for aggregate in aggregates]
        for field, aggregate in wanted:
            columns.append((w, AGGREGATES[aggregate], *_slots_of(group, field, aggregate)))
            mids.append(group.grids[field].mid if field else 0.0)
            names.append(".".join(part for part in (group.name, field, aggregate.value, window) if part))
    return GroupReads(
        group=group,
        columns=np.array(columns, dtype=np.int64).reshape(-1, 5),
        mids=np.array(mids),
        places=np.arange(place, place + len(columns), dtype=np.int64),
        names=tuple(names),
    )


def _slots_of(group: Group, field: str, aggregate: Aggregate) -> tuple[int, int, int]:
    """Slots of the count, of the value (sum, minimum or maximum) and of the squares."""
    count = group.slot(field, "count")
    if aggregate is Aggregate.COUNT:
        return count, count, count
    if aggregate in (Aggregate.MIN, Aggregate.MAX):
        return count, group.slot(field, aggregate.value), count
    return count, group.slot(field, "sum"), group.slot(field, "square") if aggregate is Aggregate.STD else count


def _event_column(
    feature: Raw | Category | HourOfDay | DayOfWeek, scored: type[Event]
) -> tuple[FeatureColumn, Callable[[EventBatch], Floats]]:
    field = feature.field
    declared = field_types(scored).get(field)
    if declared is None:
        raise DefinitionError(f"feature {feature}: {scored.__name__} has no field {field!r}")
    if isinstance(feature, Category) != (declared.kind == "str"):
        raise DefinitionError(
            f"feature {feature}: field {field!r} is {declared.kind}; text goes into Category, numbers elsewhere"
        )
    match feature:
        case Raw():
            return FeatureColumn(field, FeatureKind.NUMBER), lambda batch: batch.numbers(field)
        case Category():
            return FeatureColumn(field, FeatureKind.CATEGORY), lambda batch: category_codes(batch.column(field))
        case HourOfDay():
            shift = feature.utc_offset_hours * 3600
            name = f"{field}.hour_of_day"
            return FeatureColumn(name, FeatureKind.NUMBER), lambda batch: (batch.numbers(field) + shift) % 86400 / 3600
        case DayOfWeek():
            shift = feature.utc_offset_hours * 3600
            name = f"{field}.day_of_week"  # 1970-01-01 was a Thursday, day 3
            return FeatureColumn(name, FeatureKind.NUMBER), lambda batch: ((batch.numbers(field) + shift) // 86400 + 3) % 7


def category_codes(values: list[str | None]) -> Floats:
    """The code of each text, float64 (n,): the CRC-32 of its UTF-8 bytes; NaN for None."""
    codes = {value: np.nan if value is None else float(zlib.crc32(value.encode())) for value in set(values)}
    return np.array([codes[value] for value in values], dtype=np.float64)


def _ratio_column(ratio: Ratio, places: dict[str, int], place: int) -> RatioColumn:
    for name in (ratio.numerator, ratio.denominator):
        if name not in places:
            raise DefinitionError(f"feature {ratio.name!r}: there is no feature {name!r}; there are {', '.join(places)}")
    return RatioColumn(place, places[ratio.numerator], places[ratio.denominator])
