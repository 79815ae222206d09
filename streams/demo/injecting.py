"""Drift put into records as they are sent: what `--drift` asks for, from its second of the replay on and not before.

Seconds are counted in records: at 400 a second the 8,000th is sent after 20 s. So the same command changes the same records.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.events import contract
from streams.demo.errors import DriftRefused
from streams.demo.injection import Amount, Injection, Rename, Scale
from streams.demo.source import Sendable
from streams.demo.targets import Target

Edit = Callable[[Any], Any]  # a field's value, as it is in the JSON
NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Injected:
    """One drift, ready to be put in; ``edit`` None withholds the whole event. ``what`` tells people."""

    target: Target
    seconds: float
    what: str
    edit: Edit | None

    def apply(self, record: Sendable) -> Sendable:
        """The record as it is from now on; others' records, and broken ones, as they are."""
        if record.topic != self.target.topic:
            return record
        if self.edit is None or self.target.field is None:
            return msgspec.structs.replace(record, withheld=True)
        if record.broken:
            return record
        fields = msgspec.json.decode(record.value)
        value = fields[self.target.field] = self.edit(fields[self.target.field])
        key = record.key
        if self.target.field == contract(self.target.event).key:  # producers key by what the field holds
            key = None if value is None else str(value).encode()
        return msgspec.structs.replace(record, value=msgspec.json.encode(fields), key=key)


def injected(records: Iterator[Sendable], drifts: Sequence[Injected], per_second: float) -> Iterator[Sendable]:
    """The records, `per_second` of them a second, with each drift from its second on, in the order given."""
    for number, record in enumerate(records):
        for drift in drifts:
            if number >= drift.seconds * per_second:
                record = drift.apply(record)
        yield record


def prepare_drift(injection: Injection, target: Target, history: Path) -> Injected:
    """`history`: the folder of Parquet files that says how far values spread and which there are. DriftRefused: none is OLD."""
    change, name = injection.change, target.name
    if change == "stopped":
        return Injected(target, injection.seconds, f"{name} is sent no more ({target.topic})", None)
    if change == "frozen":
        return Injected(target, injection.seconds, f"{name} keeps one value", _frozen())
    if change == "null":
        ends = "" if target.nullable else ", which its contract refuses"
        return Injected(target, injection.seconds, f"{name} is null{ends}", lambda value: None)
    if isinstance(change, Rename):
        _check_known(injection, change.old, target, history)
        return Injected(target, injection.seconds, f"{name}: {change.old} is now {change.new}", _renamed(change))
    if isinstance(change, Scale):
        return Injected(target, injection.seconds, f"{name} times {change.factor:g}", _scaled(change, target))
    assert isinstance(change, Amount)
    by = change.number * _deviation(target, history)
    what = f"{name} {change.number:+g} standard deviations ({by:+,.4g})"
    return Injected(target, injection.seconds, what, _shifted(by, target))


def _shifted(by: float, target: Target) -> Edit:
    def edit(value: Any) -> Any:
        return value if value is None else _number(min(max(value + by, target.low), target.high), target)

    return edit


def _scaled(change: Scale, target: Target) -> Edit:
    """Bounds are not kept: a wrong unit does not keep them either."""

    def edit(value: Any) -> Any:
        return value if value is None else _number(value * change.factor, target)

    return edit


def _renamed(change: Rename) -> Edit:
    return lambda value: change.new if value == change.old else value


def _frozen() -> Edit:
    """The first value that there is stays."""
    held: list[Any] = []

    def edit(value: Any) -> Any:
        if not held and value is not None:
            held.append(value)
        return held[0] if held else value

    return edit


def _number(value: float, target: Target) -> float | int:
    return round(value) if target.kind == "int" else value


def _deviation(target: Target, history: Path) -> float:
    return float(pc.stddev(_column(target, history)).as_py())


def _check_known(injection: Injection, old: str, target: Target, history: Path) -> None:
    known = sorted(value for value in pc.unique(_column(target, history)).to_pylist() if value is not None)
    if old not in known:
        more = f" and {len(known) - NAMES_SHOWN:,} more" if len(known) > NAMES_SHOWN else ""
        raise DriftRefused(
            f"--drift {injection.text!r}: {target.name} is never {old!r}; there are {', '.join(known[:NAMES_SHOWN])}{more}"
        )


def _column(target: Target, history: Path) -> Any:
    return pq.read_table(history / f"{target.topic}.parquet", columns=[target.field]).column(0)
