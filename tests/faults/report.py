"""Rows of benchmarks/results/faults.json, and the table in docs/guarantees.md that is made from them."""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from tests.faults.registry import Run

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
DOCUMENT = ROOT / "docs" / "guarantees.md"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one fault did. Recovery is null where a fault interrupts nothing."""

    fault: str
    runs: int
    violations: int
    recovery_seconds_median: float | None
    recovery_seconds_max: float | None
    summary: str = ""
    notes: dict[str, Any] = msgspec.field(default_factory=dict)
    seed: int = 0
    seconds: float = 0.0  # that the whole of it took
    when: str = ""  # UTC


def row(run: Run, summary: str, seconds: float) -> Row:
    """A run's row, its figures rounded."""
    found = run.recoveries
    return Row(
        fault=run.fault,
        runs=run.done,
        violations=len(run.violations),
        recovery_seconds_median=round(median(found), 2) if found else None,
        recovery_seconds_max=round(max(found), 2) if found else None,
        summary=summary,
        notes={key: round(value, 3) if isinstance(value, float) else value for key, value in run.notes.items()},
        seed=run.seed,
        seconds=round(seconds, 1),
        when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def read(path: Path = RESULTS) -> list[Row]:
    return msgspec.json.decode(path.read_bytes(), type=list[Row]) if path.exists() else []


def keep(new: Row, path: Path = RESULTS, document: Path = DOCUMENT) -> None:
    """Puts a row in the place of the fault's former one, and writes the document's table; safe beside other runs."""
    with _locked(path):
        rows = {one.fault: one for one in read(path)} | {new.fault: new}
        ordered = [rows[name] for name in sorted(rows)]
        path.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")
        write_table(ordered, document)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The folder itself is locked, so that no lock file lies about."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def table(rows: Sequence[Row]) -> str:
    """Markdown, a line a fault."""
    lines = [
        "| fault | runs | violations | recovery, median (s) | recovery, longest (s) | of it |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for one in rows:
        times = [_seconds(value) for value in (one.recovery_seconds_median, one.recovery_seconds_max)]
        name = f"**{one.fault}**: {one.summary}" if one.summary else f"**{one.fault}**"
        lines.append(f"| {name} | {one.runs} | {one.violations} | {times[0]} | {times[1]} | {_notes(one.notes)} |")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _notes(notes: Mapping[str, Any]) -> str:
    shown = {key: f"{value:,}" if isinstance(value, int) else value for key, value in sorted(notes.items())}
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items())


def write_table(rows: Sequence[Row], document: Path = DOCUMENT) -> None:
    """Replaces what stands between the markers; the words around it are people's."""
    whole = document.read_text()
    head, begin, rest = whole.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no lines {BEGIN} and {END}")
    document.write_text(f"{head}{BEGIN}\n{table(rows)}\n{END}{tail}")


def committed_table(document: Path = DOCUMENT) -> str:
    """What stands between the markers."""
    return document.read_text().partition(BEGIN)[2].partition(END)[0].strip("\n")
