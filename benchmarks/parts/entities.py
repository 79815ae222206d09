"""Part `entities`: what states cost in Redis, by the number of entities there and by windows, and what memory they take."""

from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks import machine
from benchmarks.part import Measured, Options
from benchmarks.plots import DOCS
from benchmarks.report import Row, cell
from benchmarks.states import plots
from benchmarks.states.costs import CHUNKS, FIGURES, Rounds, Sized, by_entities, by_windows, growth, spread
from benchmarks.states.footprint import Kept, kept
from benchmarks.states.users import CHUNK, by_user
from featurestore.definitions import Std, Sum

PART = "entities"
FLAT_BAR = 1.2  # a state merged among the most entities by one among the fewest, at most
AGED_USERS = 50_000
SMALL, PAYMENTS = "count, sum, std", "count, sum, mean, std, max"
MEMORY_BARS = {("Valkey 9", SMALL): 1.25, ("Redis 7", SMALL): 1.4}  # KiB an entity, at most
PLOT = DOCS / "entities.png"

Aged = Sequence[tuple[Kept, float | None]]  # with its bar


def measure(options: Options) -> Measured:
    sized, windows = by_entities(options), by_windows(options)
    found = kept({SMALL: by_user(amount=(Sum, Std)), PAYMENTS: by_user()}, AGED_USERS, options.console)
    aged = [(one, MEMORY_BARS.get((one.server.name, one.layout))) for one in found]
    plots.entities(PLOT, sized.rounds, windows, aged, FLAT_BAR)
    return Measured(rows(sized, windows, aged), text(sized, windows, aged))


def rows(sized: Sized, windows: Rounds, aged: Aged) -> list[Row]:
    found = [*_cost_rows(sized.rounds, "entities"), *_cost_rows(windows, "windows")]
    compared = f"{PART}/merge {max(sized.rounds):,} against {min(sized.rounds):,}"
    flat = growth(sized.rounds, "redis_cpu_us").middle
    found.append(Row(compared, round(flat, 3), "x", FLAT_BAR, flat <= FLAT_BAR))
    found.append(Row(f"{compared}, wall", round(growth(sized.rounds, "wall_us").middle, 3), "x"))
    found += [Row(f"{PART}/memory {n:,} entities", round(each / 1024, 3), "KiB/entity") for n, each in sized.bytes_each.items()]
    for one, bar in aged:
        holds = None if bar is None else one.kib <= bar
        found.append(Row(f"{PART}/memory {one.server.name}, {one.layout}", round(one.kib, 3), "KiB/entity", bar, holds))
    return found


def _cost_rows(rounds: Rounds, what: str) -> list[Row]:
    return [
        Row(f"{PART}/{work} {n:,} {what}/{figure}", round(spread(costs, work, figure).middle, 3), "us/state")
        for n, costs in rounds.items()
        for work, figure in FIGURES
    ]


def text(sized: Sized, windows: Rounds, aged: Aged) -> str:
    """Three tables, each with what one must know of it."""
    rounds = len(next(iter(windows.values())))
    flat, wall = (cell(growth(sized.rounds, figure), ".2f") for figure in ("redis_cpu_us", "wall_us"))
    servers = sorted({f"{one.server.name} is {one.server.version} with {one.server.allocator}" for one, _ in aged})
    absent = "" if any(one.server.name == "Redis 7" for one, _ in aged) else " No Redis 7 was installed."
    return "\n\n".join(
        [
            _cost_table(sized.rounds, "entities"),
            f"A merge among {max(sized.rounds):,} entities against one among {min(sized.rounds):,}: {flat} x of Redis CPU, "
            f"{wall} x of time.",
            _cost_table(windows, "windows"),
            f"Microseconds a state, {rounds} rounds of {CHUNK * CHUNKS:,} states in turn: median (least to greatest).",
            _memory_table(aged),
            f"{AGED_USERS:,} entities each; {', '.join(servers)}.{absent} {datetime.now(UTC):%Y-%m-%d}; "
            f"{machine.describe(sized.server.version)}; load over the last minute at the end {machine.load():.1f}.",
        ]
    )


def _cost_table(rounds: Rounds, what: str) -> str:
    lines = [f"| {what} | merge: Redis CPU | merge: time | read: Redis CPU | read: time |", "|---|---|---|---|---|"]
    lines += [f"| {n:,} | {' | '.join(cell(spread(costs, *one), '.1f') for one in FIGURES)} |" for n, costs in rounds.items()]
    return "\n".join(lines)


def _memory_table(aged: Aged) -> str:
    lines = ["| | aggregates | a state's bytes | Redis memory an entity | bar |", "|---|---|---|---|---|"]
    for one, bar in aged:
        said = "" if bar is None else f"<= {bar} KiB"
        lines.append(f"| {one.server.name} | {one.layout} | {one.value_bytes:,} | {one.kib:.2f} KiB | {said} |")
    return "\n".join(lines)
