"""A snapshot as a table for people, the worst first, and as JSON lines for programs."""

from collections.abc import Iterator

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from monitors.lag import Status
from monitors.lag_snapshot import PartitionLag, Snapshot

COLOURS = {
    Status.UNKNOWN: "dim",
    Status.OK: "green",
    Status.FALLING_BEHIND: "yellow",
    Status.REWOUND: "yellow",
    Status.STALLED: "bold red",
    Status.STOPPED: "bold red",
}
UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
HEADINGS = ("group", "topic", "partition", "committed", "end", "lag records", "lag", "status", "retention used")
NUMBERS = frozenset(HEADINGS) - {"group", "topic", "status"}


def table(found: Snapshot) -> Table:
    """A row a partition."""
    made = Table(box=box.SIMPLE, pad_edge=False)
    for heading in HEADINGS:
        number = heading in NUMBERS
        made.add_column(heading, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for one in found.partitions:
        made.add_row(*_cells(one))
    return made


def _cells(one: PartitionLag) -> Iterator[Text]:
    """Text, not markup: a name may hold square brackets."""
    yield from (Text(one.group), Text(one.topic), Text(str(one.partition)))
    yield Text("-" if one.committed is None else str(one.committed))
    yield Text(str(one.end))
    yield Text("-" if one.lag_records is None else str(one.lag_records))
    yield Text(age(one.lag_seconds) + ("*" if one.producer_time and one.lag_seconds else ""))
    yield Text(one.status.value, COLOURS[one.status])
    lost = f" ({one.lost_records} lost)" if one.lost_records else ""
    yield Text("-" if one.retention_used is None else f"{one.retention_used:.1%}{lost}", "bold red" if lost else "")


def age(seconds: float | None) -> str:
    """Two figures' worth of a length of time; `-` for one that is not known.

    >>> age(0.0), age(3.26), age(75.0), age(90_000.0), age(None)
    ('0 s', '3.3 s', '1.2 m', '1.0 d', '-')
    """
    if seconds is None:
        return "-"
    for length, unit in UNITS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds else "0 s"


def lines(found: Snapshot) -> Iterator[str]:
    """One JSON object a partition; its fields are PartitionLag's."""
    return (msgspec.json.encode(one).decode() for one in found.partitions)
