"""What a user declares: feature groups over windows, and features of the event itself.

A declaration holds no state and computes nothing: featurestore.layout turns a group into bytes, featurestore.plan a list of
declarations into columns of the served vector.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from featurestore.errors import DefinitionError
from featurestore.events import Event


class Aggregate(StrEnum):
    """What is computed of a field's values (or, for Count, of the events) in a window."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    STD = "std"  # population standard deviation: 0 for a single value
    MIN = "min"
    MAX = "max"
    LAST = "last"  # the value of the newest event, by (event time, topic, partition, offset); null values do not count
    RATE = "rate"  # events a second; of a field, its sum a second
    SECONDS_SINCE_LAST = "seconds_since_last"  # of the events: time since the newest one in the window


Count, Sum, Mean, Std, Min, Max, Last, Rate, SecondsSinceLast = Aggregate
OF_EVENTS = (Count, Rate, SecondsSinceLast)  # what aggregates= may hold; fields= may hold all but SecondsSinceLast
DECAYED = (Count, Sum, Mean)  # those that a half-life has a form of

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(duration: str) -> int:
    """A duration such as "90s", "5m", "1h", "7d" or "2w", in seconds; DefinitionError for anything else.

    >>> seconds("5m")
    300
    """
    number, unit = duration[:-1], duration[-1:]
    if not number.isascii() or not number.isdigit() or unit not in _UNITS or int(number) == 0:
        raise DefinitionError(f"{duration!r} is not a duration; write a whole number and one of s, m, h, d, w, such as '5m'")
    return int(number) * _UNITS[unit]


def span(length: float) -> str:
    """Whole seconds as the shortest duration that `seconds` reads.

    >>> span(21_600)
    '6h'
    """
    unit = next(unit for unit in reversed(_UNITS) if length % _UNITS[unit] == 0)
    return f"{length / _UNITS[unit]:.0f}{unit}"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old a group's values may be, and what stands in for one that is older or is not there.

    A value's age is the scored event's time minus the entity's newest event in the group. Older than ``max_age`` it is stale;
    with no event, or nothing to compute from, missing. ``otherwise`` is what is served then: "null" (NaN), a number, or
    "refuse": the event is not scored, but goes to the dead letters (and into its features all the same).
    """

    max_age: str
    otherwise: Literal["null", "refuse"] | float = "null"


@dataclass(frozen=True, slots=True)
class On:
    """A feature group: aggregates of one event's fields, kept for each entity, over sliding windows.

    ``by`` names the entity (one field of ``event``, or several); ``read_by`` the fields of the scored event that hold the
    entity, where they are called otherwise. ``fields`` maps a field to its aggregates; ``aggregates`` are those of the events
    themselves (Count). Each window has ``tiles`` tiles: at time q a window W covers [floor(q - W, tile), q]. Events up to
    ``lateness_tiles`` tiles behind the entity's newest still find their whole window. An event's own vector excludes the event
    unless ``including_self``. An entity whose id is None or one of ``missing`` is never aggregated; its features are NaN.

    ``half_life`` adds decayed Count, Sum and Mean: an event weighs 2^-(its age / half-life), in steps of a quarter of a
    half-life, and nothing after 8 half-lives. ``freshness`` is one policy for the whole group, or a policy for each column
    named (without the group's name, such as "amount.mean.1h").
    """

    event: type[Event]
    by: str | tuple[str, ...]
    fields: Mapping[str, Sequence[Aggregate]] = field(default_factory=dict)
    aggregates: Sequence[Aggregate] = ()
    windows: Sequence[str] = ()
    half_life: str | None = None
    tiles: int = 12
    lateness_tiles: int = 2
    including_self: bool = False
    read_by: str | tuple[str, ...] | None = None
    missing: tuple[str | int, ...] = ("", "unknown", 0)
    freshness: Freshness | Mapping[str, Freshness] | None = None
    name: str | None = None
    version: int = 1


def policies(on: On) -> tuple[Freshness, ...]:
    """Every freshness policy of a group."""
    if on.freshness is None:
        return ()
    return (on.freshness,) if isinstance(on.freshness, Freshness) else tuple(on.freshness.values())


@dataclass(frozen=True, slots=True)
class Shared:
    """A group that ``pipeline`` keeps and this one only reads: declare the very same ``on`` in both.

    The reader neither consumes the group's topic for it nor counts its fences. Only the training of the reader needs the
    group's events. Both pipelines need the same number of shards.
    """

    on: On
    pipeline: str


@dataclass(frozen=True, slots=True)
class Raw:
    """The number in a field of the scored event, as it is; None is missing."""

    field: str


@dataclass(frozen=True, slots=True)
class Category:
    """A text field of the scored event as a category.

    Its value in the served vector is the CRC-32 of its UTF-8 bytes, exact in a double: it depends on no model's vocabulary, so
    that training, champion and canary read the same vector. Each model maps the codes to its own vocabulary.
    """

    field: str


@dataclass(frozen=True, slots=True)
class HourOfDay:
    """Hour of a time field (seconds since the epoch), 0 up to 24 with fractions, in UTC shifted by ``utc_offset_hours``."""

    field: str
    utc_offset_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class DayOfWeek:
    """Day of the week of a time field, 0 (Monday) to 6, in UTC shifted by ``utc_offset_hours``."""

    field: str
    utc_offset_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """One declared feature divided by another, both by name; missing where the divisor is missing or 0."""

    name: str
    numerator: str
    denominator: str


Feature = On | Shared | Raw | Category | HourOfDay | DayOfWeek | Ratio
