"""From rounds to figures: medians and spreads as rows for latest.json, and as a Markdown table for docs/performance.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.contenders import CONTENDERS
from benchmarks.drain import Drain

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
UNITS = {
    "events_per_second": "events/s",
    "worker_cpu_us": "us/event",
    "redis_cpu_us": "us/event",
    "chunk_p50": "events",
    "chunk_p99": "events",
    "start_seconds": "s",
    "memory_mib": "MiB",
}
# Worker CPU at most, and throughput against the overlapped loop at least: the project's aims. They are reported, not enforced.
WORKER_CPU_BAR, OVERLAPPED_BAR = 15.0, 0.75
OURS = CONTENDERS[0].name


class Row(msgspec.Struct, frozen=True):
    """One figure. ``bar`` is null where it is only reported, and so is ``holds``."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of a figure over the rounds."""

    middle: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


def figures(rounds: Sequence[Drain]) -> dict[str, Spread]:
    return {name: Spread.of([getattr(one, name) for one in rounds]) for name in UNITS}


def ratios(results: Mapping[str, Sequence[Drain]], name: str) -> Spread:
    """Our throughput by another's, round by round: neighbours in time meet the same machine."""
    pairs = zip(results[OURS], results[name], strict=True)
    return Spread.of([ours.events_per_second / theirs.events_per_second for ours, theirs in pairs])


def rows(results: Mapping[str, Sequence[Drain]]) -> list[Row]:
    """Every figure of every contender, then the ratios."""
    found = []
    for name, rounds in results.items():
        for figure, spread in figures(rounds).items():
            bar = WORKER_CPU_BAR if (name, figure) == (OURS, "worker_cpu_us") else None
            holds = None if bar is None else spread.middle <= bar
            found.append(Row(f"payments/{name}/{figure}", round(spread.middle, 3), UNITS[figure], bar, holds))
    for name in results:
        if name != OURS and OURS in results:
            ratio = ratios(results, name).middle
            bar = OVERLAPPED_BAR if name.endswith("overlapped") else None
            holds = None if bar is None else ratio >= bar
            found.append(Row(f"payments/tidegate against {name}", round(ratio, 3), "x", bar, holds))
    return found


def table(results: Mapping[str, Sequence[Drain]], titles: Mapping[str, str]) -> str:
    """Markdown: median (least to greatest)."""
    lines = [
        "| | events/s | worker CPU us/event | Redis CPU us/event | chunk p50, p99 | throughput of the worker against it |",
        "|---|---|---|---|---|---|",
    ]
    for name, rounds in results.items():
        found = figures(rounds)
        cells = [
            titles[name],
            _cell(found["events_per_second"], ",.0f"),
            _cell(found["worker_cpu_us"], ".1f"),
            _cell(found["redis_cpu_us"], ".1f"),
            f"{found['chunk_p50'].middle:,.0f}, {found['chunk_p99'].middle:,.0f}",
            "" if name == OURS or OURS not in results else _cell(ratios(results, name), ".2f") + " x",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(spread: Spread, style: str) -> str:
    return f"{spread.middle:{style}} ({spread.least:{style}} to {spread.greatest:{style}})"


def write_rows(path: Path, found: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


def write_between_markers(path: Path, text: str) -> None:
    """Replaces what an earlier run wrote; the words around it are people's."""
    whole = path.read_text()
    head, _, rest = whole.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"{path} has no lines {BEGIN} and {END}")
    path.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")
