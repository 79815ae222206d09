"""Which event and field a `--drift` is about, and whether its change suits it: found in the events that a story sends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from featurestore.events import Event, FieldType, contract, field_types
from featurestore.plan import compile_plan
from scorer.pipeline import Pipeline
from streams.demo.errors import DriftRefused
from streams.demo.injection import Amount, Injection, Rename, Scale
from streams.demo.story import Story

NUMBERS = ("float", "int")


@dataclass(frozen=True, slots=True)
class Target:
    """One event, and one of its fields; None: the event as a whole. ``low`` and ``high`` are the contract's bounds."""

    event: type[Event]
    field: str | None
    kind: str = ""  # as in featurestore.events.FieldType
    nullable: bool = False
    low: float = -math.inf
    high: float = math.inf

    @property
    def topic(self) -> str:
        return contract(self.event).topic

    @property
    def name(self) -> str:
        return self.event.__name__ if self.field is None else f"{self.event.__name__}.{self.field}"


def sent_events(pipeline: Pipeline) -> list[type[Event]]:
    """Every kind of event that is sent, the scored one first."""
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    return list(dict.fromkeys([*plan.events, pipeline.label.event]))


def own_drift(injection: Injection, story: Story) -> float | None:
    """The share, where the target is a drift of the story's own; DriftRefused where there is no share."""
    if injection.target not in story.own_drifts:
        return None
    if not isinstance(injection.change, Amount) or not 0 < injection.change.number <= 1:
        raise DriftRefused(
            f"--drift {injection.text!r}: give a share, more than 0 and at most 1; {injection.target}=0.1@{injection.seconds:g} "
            f"says that 0.1 {story.own_drifts[injection.target]}"
        )
    return injection.change.number


def find_target(injection: Injection, story: Story, events: Sequence[type[Event]]) -> Target:
    """DriftRefused, with what there is, where there is no such target or the change does not suit it."""
    event = next((event for event in events if event.__name__ == injection.target), None)
    target = Target(event, None) if event else _field(injection, story, events)
    if problem := _mismatch(injection, target):
        raise DriftRefused(f"--drift {injection.text!r}: {problem}")
    return target


def _field(injection: Injection, story: Story, events: Sequence[type[Event]]) -> Target:
    """`Event.field`; or a field alone: the scored event's if it has one of that name, else the only other event's."""
    before, _, field = injection.target.rpartition(".")
    having = [event for event in events if before in ("", event.__name__) and field in event.__struct_fields__]
    if len(having) > 1 and not before and having[0] is not events[0]:
        choices = " or ".join(f"{event.__name__}.{field}" for event in having)
        raise DriftRefused(f"--drift {injection.text!r}: {field} is a field of several events; write {choices}")
    if not having:
        there = "\n".join(f"  {event.__name__}: {', '.join(event.__struct_fields__)}" for event in events)
        own = f"\nand, with a share, {', '.join(story.own_drifts)}" if story.own_drifts else ""
        raise DriftRefused(f"--drift {injection.text!r}: there is no {injection.target!r}. There are\n{there}{own}")
    declared = field_types(having[0])[field]
    return Target(having[0], field, declared.kind, declared.nullable, *_bounds(having[0], field, declared))


def _bounds(event: type[Event], field: str, declared: FieldType) -> tuple[float, float]:
    """The least and the greatest value that the contract takes; an exclusive bound's neighbour."""
    low, high = declared.low, declared.high
    described = msgspec.inspect.type_info(event)
    assert isinstance(described, msgspec.inspect.StructType)
    own = next(entry.type for entry in described.fields if entry.name == field)
    for option in own.types if isinstance(own, msgspec.inspect.UnionType) else (own,):
        if (above := getattr(option, "gt", None)) is not None:
            low = math.nextafter(above, math.inf)
        if (below := getattr(option, "lt", None)) is not None:
            high = math.nextafter(below, -math.inf)
    return -math.inf if low is None else low, math.inf if high is None else high


def _mismatch(injection: Injection, target: Target) -> str | None:
    change, name, at = injection.change, target.name, f"{injection.seconds:g}"
    if (change == "stopped") != (target.field is None):
        event = target.event.__name__
        return f"stopped is for an event, and all that an event takes: --drift {event}=stopped@{at}"
    if isinstance(change, Amount | Scale) and target.kind not in NUMBERS:
        return f"{name} is no number; try {name}=null@{at}, {name}=frozen@{at} or, for text, {name}=OLD>NEW@{at}"
    if isinstance(change, Rename) and target.kind != "str":
        return f"{name} is no text; try {name}=1.5@{at} (standard deviations), {name}=*1000@{at} (times) or {name}=null@{at}"
    return None
