"""Event contracts: what a record of a topic must look like, and a chunk of decoded events as columns.

How bytes become events is left to streams.codec; what is computed from them to the other modules of this package.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from featurestore.errors import DefinitionError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class Contract:
    """Where a class of events lives and which of its fields play a part: topic, message key, event id, event time.

    ``personal`` fields leave decoding as keyed hashes (featurestore.personal).
    """

    topic: str
    key: str
    id: str
    time: str
    personal: tuple[str, ...] = ()


class EventMeta(msgspec.StructMeta):
    """Lets an event class say its contract in its class statement: ``class Sale(Event, topic="sales", ...)``."""

    __contract__: Contract | None

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        topic: str | None = None,
        key: str | None = None,
        id: str | None = None,
        time: str | None = None,
        personal: tuple[str, ...] = (),
        **options: Any,
    ) -> "EventMeta":
        cls = super().__new__(mcls, name, bases, namespace, frozen=True, **options)
        cls.__contract__ = None
        if topic is not None:
            given = {"key": key, "id": id, "time": time}
            fields = set(cls.__struct_fields__)
            for role, chosen in given.items():
                if chosen not in fields:
                    raise DefinitionError(
                        f"event {name}: {role}={chosen!r} is not one of its fields; choose one of {', '.join(sorted(fields))}"
                    )
            cls.__contract__ = Contract(topic=topic, **given, personal=_personal(cls, personal))  # type: ignore[arg-type]
        return cls


class Event(msgspec.Struct, metaclass=EventMeta):
    """Base of event contracts: a msgspec Struct with the topic it is read from.

    Constraints are declared with ``Annotated[float, msgspec.Meta(ge=..., le=...)]``; a record that breaks one goes to the
    dead-letter topic. An aggregated field needs both bounds: sums are kept on a grid derived from them (docs/decisions.md).
    ``personal=("user",)`` names text fields that are hashed under TIDEGATE_HASH_KEY as soon as a record is decoded.

    >>> from typing import Annotated
    >>> from msgspec import Meta
    >>> class Sale(Event, topic="sales", key="shop", id="sale_id", time="at"):
    ...     sale_id: str
    ...     shop: str
    ...     amount: Annotated[float, Meta(ge=0, le=10_000)]
    ...     at: float  # seconds since the epoch, UTC
    >>> contract(Sale).topic
    'sales'
    """


def contract(event: type[Event]) -> Contract:
    """The event's contract; DefinitionError where the class statement has none."""
    found = event.__contract__
    if found is None:
        raise DefinitionError(
            f"event {event.__name__} names no topic; write class {event.__name__}(Event, topic=..., key=..., id=..., time=...)"
        )
    return found


def _personal(event: type[Any], names: object) -> tuple[str, ...]:
    """The event's personal fields, checked: they must be fields, and text, because the hash that takes their place is."""
    if isinstance(names, str) or not isinstance(names, tuple | list):
        raise DefinitionError(f"event {event.__name__}: personal={names!r} is a tuple of fields, such as personal=('user',)")
    types = field_types(event) if names else {}
    for name in names:
        if name not in types:
            raise DefinitionError(
                f"event {event.__name__}: personal={name!r} is not one of its fields; choose from {', '.join(sorted(types))}"
            )
        if types[name].kind != "str":
            raise DefinitionError(
                f"event {event.__name__}: personal field {name!r} is not text, and the hash that takes its place is: declare it "
                f"as str (or str | None) and send it as text, or leave it out of the event"
            )
    return tuple(dict.fromkeys(names))


class Source(NamedTuple):
    """One partition of one topic: where offsets count."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Accepted events of one topic; every array has one entry an event.

    They are consecutive events of one partition, ``source``, in offset order; or, of a joined batch, such stretches one after the
    other: ``parts`` says each one's partition and how many events it has, and ``source`` is the first.
    ``offsets`` int64; ``ingested`` and ``times`` float64, seconds since the epoch (the broker's timestamp, the event's own time);
    ``keys`` what is published about them is keyed by: the records' raw keys, or with personal fields the hashed field's.
    """

    event: type[Event]
    source: Source
    offsets: Ints
    ingested: Floats
    times: Floats
    keys: list[bytes | None]
    events: list[Any]
    parts: tuple[tuple[Source, int], ...] = ()
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.events)

    @property
    def part(self) -> Ints:
        """Of each event, which of the parts it belongs to; int64 (n,)."""
        return self.once("part", self._part)

    def _part(self) -> Ints:
        if not self.parts:
            return np.zeros(len(self), dtype=np.int64)
        return np.repeat(np.arange(len(self.parts)), [n for _, n in self.parts])

    def once(self, key: Any, compute: Callable[[], Kept]) -> Kept:
        """What `compute` makes of this batch, computed at the first call with this key; not to be changed."""
        if key not in self._kept:
            self._kept[key] = compute()
        kept: Kept = self._kept[key]
        return kept

    @property
    def partitions(self) -> Ints:
        """Each event's partition, int64 (n,)."""
        if not self.parts:
            return np.full(len(self), self.source.partition, dtype=np.int64)
        return np.array([source.partition for source, _ in self.parts], dtype=np.int64)[self.part]

    def source_of(self, row: int) -> Source:
        """The partition of one event."""
        return self.parts[self.part[row]][0] if self.parts else self.source

    def column(self, name: str) -> list[Any]:
        """One field of every event, as a list of Python objects; kept, so that the next caller gets the same list."""
        return self.once(("column", name), lambda: [getattr(event, name) for event in self.events])

    def numbers(self, name: str) -> Floats:
        """One field of every event as float64, shape (n,); None becomes NaN, False and True 0 and 1, -0.0 becomes 0.0.

        Kept, because every slot of every group asks for the same few fields: not to be changed.
        """
        return self.once(("numbers", name), lambda: np.array(self.column(name), dtype=np.float64) + 0.0)


def joined(batches: Sequence[EventBatch]) -> EventBatch:
    """Batches of one topic as one: of one partition if all are of the same, else with a part for each."""
    first = batches[0]
    if len(batches) == 1:
        return first
    alike = all(batch.source == first.source for batch in batches)
    return EventBatch(
        event=first.event,
        source=first.source,
        offsets=np.concatenate([batch.offsets for batch in batches]),
        ingested=np.concatenate([batch.ingested for batch in batches]),
        times=np.concatenate([batch.times for batch in batches]),
        keys=list(itertools.chain.from_iterable(batch.keys for batch in batches)),
        events=list(itertools.chain.from_iterable(batch.events for batch in batches)),
        parts=() if alike else tuple((batch.source, len(batch)) for batch in batches),
    )


@dataclass(frozen=True, slots=True)
class FieldType:
    """What the contract says of one field: its Python type's name, whether it may be None, and its bounds."""

    kind: str  # "float", "int", "bool", "str" or "other"
    nullable: bool
    low: float | None
    high: float | None


def field_types(event: type[Event]) -> Mapping[str, FieldType]:
    """Every field of the event's contract with its type and bounds (from ``msgspec.Meta(ge=..., le=...)``)."""
    described = msgspec.inspect.type_info(event)
    assert isinstance(described, msgspec.inspect.StructType)
    return {entry.name: _field_type(entry.type) for entry in described.fields}


_KINDS = {
    msgspec.inspect.FloatType: "float",
    msgspec.inspect.IntType: "int",
    msgspec.inspect.BoolType: "bool",
    msgspec.inspect.StrType: "str",
}


def _field_type(described: msgspec.inspect.Type) -> FieldType:
    options = list(described.types) if isinstance(described, msgspec.inspect.UnionType) else [described]
    solid = [option for option in options if not isinstance(option, msgspec.inspect.NoneType)]
    if len(solid) != 1:
        return FieldType("other", len(solid) != len(options), None, None)
    kind = _KINDS.get(type(solid[0]), "other")
    low, high = (0.0, 1.0) if kind == "bool" else (getattr(solid[0], "ge", None), getattr(solid[0], "le", None))
    return FieldType(kind, len(solid) != len(options), low, high)
