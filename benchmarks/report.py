"""From rounds to figures: medians and spreads as rows for latest.json, and as a Markdown table for docs/performance.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.contenders import WORKER, Contender
from benchmarks.drain import Drain

UNITS = {
    "events_per_second": "events/s",
    "worker_cpu_us": "us/event",
    "redis_cpu_us": "us/event",
    "chunk_p50": "events",
    "chunk_p99": "events",
    "start_seconds": "s",
    "memory_mib": "MiB",
}
COSTS = ("events_per_second", "worker_cpu_us", "redis_cpu_us")
WORKER_CPU_BAR = 15.0  # us an event at most, the project's aim; like all bars reported, not enforced
OURS = WORKER.name


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
    """Our throughput by another's, round by round."""
    return by_round(results[OURS], results[name], "events_per_second")


def by_round(ones: Sequence[Drain], others: Sequence[Drain], figure: str) -> Spread:
    """One's figure by another's, round by round: neighbours in time meet the same machine."""
    return Spread.of([getattr(one, figure) / getattr(other, figure) for one, other in zip(ones, others, strict=True)])


def rows(part: str, results: Mapping[str, Sequence[Drain]], bars: Mapping[str, float]) -> list[Row]:
    """Every figure of every contender, then the ratios; `bars` are for the ratios against contenders, by name."""
    found = []
    for name, rounds in results.items():
        for figure, spread in figures(rounds).items():
            bar = WORKER_CPU_BAR if (name, figure) == (OURS, "worker_cpu_us") else None
            found.append(at_most(f"{part}/{name}/{figure}", spread.middle, UNITS[figure], bar))
    for name in results:
        if name != OURS and OURS in results:
            ratio = ratios(results, name).middle
            found.append(at_least(f"{part}/{OURS} against {name}", ratio, "x", bars.get(name)))
    return found


def at_most(name: str, value: float, unit: str, bar: float | None = None) -> Row:
    """A row whose bar, if there is one, is the most that is good."""
    return Row(name, round(value, 3), unit, bar, None if bar is None else value <= bar)


def at_least(name: str, value: float, unit: str, bar: float | None = None) -> Row:
    """A row whose bar, if there is one, is the least that is good."""
    return Row(name, round(value, 3), unit, bar, None if bar is None else value >= bar)


def costs(part: str, results: Mapping[str, Sequence[Drain]]) -> list[Row]:
    """Throughput and CPU of every contender, without bars."""
    return [
        at_most(f"{part}/{name}/{figure}", figures(rounds)[figure].middle, UNITS[figure])
        for name, rounds in results.items()
        for figure in COSTS
    ]


def table(results: Mapping[str, Sequence[Drain]], contenders: Sequence[Contender]) -> str:
    """Markdown: median (least to greatest)."""
    lines = [
        "| | events/s | worker CPU us/event | Redis CPU us/event | chunk p50, p99 | throughput of the worker against it |",
        "|---|---|---|---|---|---|",
    ]
    for contender in contenders:
        name = contender.name
        against = "" if name == OURS or OURS not in results else cell(ratios(results, name), ".2f") + " x"
        found = figures(results[name])
        chunks = f"{found['chunk_p50'].middle:,.0f}, {found['chunk_p99'].middle:,.0f}"
        lines.append(f"{_costs(contender.title, results[name])} {chunks} | {against} |")
    return "\n".join(lines)


def cost_table(what: str, results: Mapping[str, Sequence[Drain]], contenders: Sequence[Contender]) -> str:
    """The same without ratios, where contenders are the worker under different circumstances: `what` these are."""
    lines = [f"| {what} | events/s | worker CPU us/event | Redis CPU us/event | events a chunk |", "|---|---|---|---|---|"]
    for contender in contenders:
        rounds = results[contender.name]
        lines.append(f"{_costs(contender.title, rounds)} {median(one.chunk_mean for one in rounds):,.0f} |")
    return "\n".join(lines)


def _costs(title: str, rounds: Sequence[Drain]) -> str:
    """The beginning of a table's line."""
    found = figures(rounds)
    rate, *cpu = (found[name] for name in COSTS)
    return f"| {' | '.join([title, cell(rate, ',.0f'), *(cell(one, '.1f') for one in cpu)])} |"


def cell(spread: Spread, style: str) -> str:
    """Median (least to greatest), each in a format such as ".1f"."""
    return f"{spread.middle:{style}} ({spread.least:{style}} to {spread.greatest:{style}})"


def merged(before: Sequence[Row], part: str, found: Sequence[Row]) -> list[Row]:
    """The rows with one part's replaced, where they stood or at the end; other parts' stay as they are."""
    mine = [i for i, row in enumerate(before) if row.name.startswith(f"{part}/")]
    place = mine[0] if mine else len(before)
    others = [row for i, row in enumerate(before) if i not in mine]
    return [*others[:place], *found, *others[place:]]


def write_rows(path: Path, part: str, found: Sequence[Row]) -> list[Row]:
    """Merges a part's rows into the file; returns all that it has now."""
    before = msgspec.json.decode(path.read_bytes(), type=list[Row]) if path.exists() else []
    rows = merged(before, part, found)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    return rows


def markers(part: str) -> tuple[str, str]:
    """The lines between which a part's text stands."""
    return f"<!-- make bench {part}: begin -->", f"<!-- make bench {part}: end -->"


def write_between_markers(path: Path, part: str, text: str) -> None:
    """Replaces what an earlier run of the part wrote; the words around it are people's."""
    begin, end = markers(part)
    whole = path.read_text()
    head, _, rest = whole.partition(begin)
    _, closed, tail = rest.partition(end)
    if not closed:
        raise ValueError(f"{path} has no lines {begin} and {end}")
    path.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


def bars(rows: Sequence[Row]) -> str:
    """Markdown: every figure that has a bar, and whether it holds."""
    lines = ["| figure | measured | bar | |", "|---|---|---|---|"]
    for row in rows:
        if row.bar is not None:
            verdict = "holds" if row.holds else "**missed**"
            lines.append(f"| {row.name} | {row.value:,.4g} {row.unit} | {row.bar:,.4g} | {verdict} |")
    return "\n".join(lines)
