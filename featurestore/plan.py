"""A pipeline's features compiled: which groups are read, which a topic writes, and which column comes from where."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.columns import GroupReads, group_reads
from featurestore.definitions import Category, DayOfWeek, Feature, HourOfDay, On, Ratio, Raw, Shared
from featurestore.errors import DefinitionError
from featurestore.events import Event, EventBatch, Floats, contract, field_types
from featurestore.layout import Group, compile_group
from featurestore.personal import check_agreement, personal_names
from featurestore.schema import FeatureColumn, FeatureKind, FeatureSchema


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
    shared: Mapping[str, str]  # names of the groups that another pipeline writes, and that pipeline
    event_columns: tuple[EventColumn, ...]
    ratios: tuple[RatioColumn, ...]

    @property
    def groups(self) -> tuple[Group, ...]:
        return tuple(read.group for read in self.reads)

    @property
    def events(self) -> tuple[type[Event], ...]:
        """Every event consumed for features: the scored one first. Those of shared groups are consumed by their owners."""
        return tuple(dict.fromkeys([self.scored, *(group.on.event for group in self.groups if group.name not in self.shared)]))

    @property
    def history_events(self) -> tuple[type[Event], ...]:
        """Every event that features are computed from: what a recorded history needs, shared groups' events included."""
        return tuple(dict.fromkeys([self.scored, *(group.on.event for group in self.groups)]))

    @property
    def personal(self) -> frozenset[str]:
        """Names of entity fields whose values are hashed, in this pipeline's events as in its states' keys."""
        return personal_names(self.groups)

    def written_by(self, topic: str) -> tuple[Group, ...]:
        """The groups that a topic's events are merged into by this pipeline."""
        return tuple(group for group in self.groups if group.topic == topic and group.name not in self.shared)

    def namespace(self, group: Group) -> str:
        """The name that a group's state is stored under; a changed layout is a new namespace."""
        return f"{self.shared.get(group.name, self.pipeline)}.{group.name}.v{group.on.version}.{group.fingerprint}"


def compile_plan(pipeline: str, scored: type[Event], features: Sequence[Feature], shards: int = 16) -> FeaturePlan:
    """Checks a pipeline's features and lays out its vectors; DefinitionError names the feature at fault and the remedy."""
    columns: list[FeatureColumn] = []
    reads: list[GroupReads] = []
    event_columns: list[EventColumn] = []
    ratios: list[Ratio] = []
    shared: dict[str, str] = {}
    for feature in features:
        if isinstance(feature, On | Shared):
            reads.append(_group_reads(feature, scored, len(columns)))
            if isinstance(feature, Shared):
                shared[reads[-1].group.name] = _owner(feature, reads[-1].group, pipeline, scored)
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
    check_agreement(scored, [read.group for read in reads])
    return FeaturePlan(
        pipeline=pipeline,
        scored=scored,
        shards=shards,
        schema=FeatureSchema(tuple(columns)),
        reads=tuple(reads),
        shared=shared,
        event_columns=tuple(event_columns),
        ratios=tuple(ratio_columns),
    )


def _refuse_twice(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"{what} {name!r} is declared twice; keep one of them, or give a group another name=")


def _owner(shared: Shared, group: Group, pipeline: str, scored: type[Event]) -> str:
    """The pipeline that keeps a shared group; DefinitionError where this one would have to."""

    def refuse(problem: str) -> None:
        raise DefinitionError(f"shared feature group {group.name!r}: {problem}")

    if not isinstance(shared.pipeline, str) or not shared.pipeline:
        refuse("pipeline= names the pipeline that keeps it")
    if shared.pipeline == pipeline:
        refuse(f"{pipeline!r} is this pipeline itself; declare the On alone")
    if group.on.event is scored or group.topic == contract(scored).topic:
        refuse(
            f"it is fed by {scored.__name__}, the event that this pipeline scores: its owner merges at its own pace, so a vector "
            f"could hold its own event or later ones; declare the On alone, then this pipeline keeps a group of its own"
        )
    return shared.pipeline


def _group_reads(feature: On | Shared, scored: type[Event], place: int) -> GroupReads:
    if isinstance(feature, Shared) and not isinstance(feature.on, On):
        raise DefinitionError(f"Shared({feature.on!r}): write Shared(On(...), pipeline='its owner')")
    group = compile_group(feature.on if isinstance(feature, Shared) else feature)
    types = field_types(scored)
    for field in group.read_by:
        if field not in types:
            raise DefinitionError(
                f"feature group {group.name!r}: the scored event {scored.__name__} has no field {field!r} to find the entity by; "
                f"name its fields with read_by="
            )
    return group_reads(group, place)


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
