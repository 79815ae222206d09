"""What is wrong with a declared feature group, said before anything runs; layouts and columns are made elsewhere."""

import math
from collections.abc import Mapping

from featurestore.definitions import DECAYED, OF_EVENTS, Aggregate, Freshness, On, SecondsSinceLast, policies, seconds
from featurestore.errors import DefinitionError
from featurestore.events import FieldType

_NAMES = "Count, Sum, Mean, Std, Min, Max, Last, Rate, SecondsSinceLast"


def check_group(name: str, on: On, by: tuple[str, ...], types: Mapping[str, FieldType]) -> None:
    """DefinitionError, naming the group and the remedy, where the declaration is wrong. ``types`` are the event's fields."""
    _check_types(name, on.windows, on.half_life, on.freshness)
    _check_aggregates(name, on)
    _check_windows(name, on)
    _check_freshness(name, on)
    for field in (*by, *on.fields):
        if field not in types:
            _refuse(name, f"{on.event.__name__} has no field {field!r}; it has {', '.join(sorted(types))}")
    for field in by:
        if types[field].kind not in ("str", "int"):
            _refuse(name, f"entity field {field!r} must be text or a whole number")
    for field in on.fields:
        _check_aggregated(name, field, types[field])


def _refuse(name: str, problem: str) -> None:
    raise DefinitionError(f"feature group {name!r}: {problem}")


def _check_types(name: str, windows: object, half_life: object, freshness: object) -> None:
    if isinstance(windows, str):
        _refuse(name, f"windows= is a list of durations, such as windows=[{windows!r}]")
    if not isinstance(half_life, str | None):
        _refuse(name, f"half_life= is one duration, such as '2h', not {half_life!r}")
    for policy in freshness.values() if isinstance(freshness, Mapping) else [freshness]:
        if not isinstance(policy, Freshness | None):
            _refuse(name, f"freshness={policy!r}: write Freshness(max_age='6h'), or map a column such as 'amount.mean.1h' to one")


def _check_aggregates(name: str, on: On) -> None:
    if not hasattr(on.fields, "values"):
        _refuse(name, "fields= maps each field to a list of aggregates, such as fields={'amount': [Mean, Max]}")
    for aggregates in (on.aggregates, *on.fields.values()):
        if isinstance(aggregates, str) or not all(isinstance(aggregate, Aggregate) for aggregate in aggregates):
            _refuse(name, f"{aggregates!r} is not a list of aggregates; choose from {_NAMES}, such as [Mean, Max]")
    if not on.fields and not on.aggregates:
        _refuse(name, "it computes nothing; declare fields={'amount': [Mean]} or aggregates=[Count]")
    if set(on.aggregates) - set(OF_EVENTS):
        _refuse(
            name,
            "aggregates= is of the events themselves and knows Count, Rate and SecondsSinceLast only; "
            "aggregates of a field go into fields=",
        )
    if any(SecondsSinceLast in aggregates for aggregates in on.fields.values()):
        _refuse(name, "SecondsSinceLast is of the events themselves: write aggregates=[SecondsSinceLast]")


def _check_windows(name: str, on: On) -> None:
    if len(set(on.windows)) != len(on.windows):
        _refuse(name, f"a window is declared twice in {list(on.windows)}; keep one of each")
    if on.tiles < 1 or on.lateness_tiles < 0:
        _refuse(name, "tiles must be at least 1 and lateness_tiles at least 0")
    if on.half_life is None:
        if not on.windows:
            _refuse(name, "it has no windows; declare for example windows=['5m', '1h'], or half_life='2h'")
        return
    wanted = {aggregate for aggregates in (on.aggregates, *on.fields.values()) for aggregate in aggregates}
    if not on.windows and wanted - set(DECAYED):
        undecayed = ", ".join(sorted(aggregate.value for aggregate in wanted - set(DECAYED)))
        _refuse(name, f"a half-life has forms of Count, Sum and Mean, not of {undecayed}; declare windows= for the others")
    if not wanted & set(DECAYED):
        _refuse(name, "half_life= decays Count, Sum and Mean, and it has none of them; add one, or leave the half-life out")


def _check_freshness(name: str, on: On) -> None:
    for freshness in policies(on):
        seconds(freshness.max_age)
        number = isinstance(freshness.otherwise, int | float) and math.isfinite(freshness.otherwise)
        if not number and freshness.otherwise not in ("null", "refuse"):
            _refuse(name, f"otherwise={freshness.otherwise!r} is none of 'null', 'refuse' and a number")


def _check_aggregated(name: str, field: str, declared: FieldType) -> None:
    if declared.kind not in ("float", "int", "bool"):
        _refuse(name, f"field {field!r} is not a number, so it has no aggregates")
    if declared.low is None or declared.high is None or not declared.low <= declared.high:
        _refuse(
            name,
            f"field {field!r} is aggregated but has no range; "
            f"declare it as Annotated[float, Meta(ge=..., le=...)] so that its sums can be exact",
        )
