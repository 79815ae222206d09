"""What docs/performance.md shows of states in Redis and of a worker's memory."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.plots import FAINT, LINE, SECOND, plt, save
from benchmarks.report import Spread
from benchmarks.states.costs import Rounds, spread
from benchmarks.states.footprint import Kept


def entities(path: Path, sizes: Rounds, windows: Rounds, aged: Sequence[tuple[Kept, float | None]], flat_bar: float) -> None:
    """Redis CPU of a state by the number of entities and by windows; memory an entity, each with its bar (KiB) or None."""
    figure, (by_size, by_window, memory) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    _costs(by_size, sizes)
    fewest = spread(sizes[min(sizes)], "merge", "redis_cpu_us").middle
    by_size.axhline(
        fewest * flat_bar, color=FAINT, linestyle="--", linewidth=1, label=f"bar: {flat_bar} x a merge among the fewest"
    )
    by_size.set_xscale("log")
    by_size.set_xlabel("entities in Redis")
    by_size.set_title("By entities, 3 windows", loc="left", fontsize=11)
    _costs(by_window, windows)
    by_window.set_xlabel("windows, five aggregates each")
    by_window.set_title("By windows", loc="left", fontsize=11)
    for axis in (by_size, by_window):
        axis.set_ylabel("Redis CPU, us a state")
        axis.set_ylim(0, 1.4 * axis.get_ylim()[1])  # room for the legend
        axis.legend(frameon=False, fontsize=9, loc="upper left")
    _memory(memory, aged)
    save(figure, (by_size, by_window, memory), path)


def _costs(axis: Axes, rounds: Rounds) -> None:
    """Medians with the span of all rounds."""
    for work, color in (("merge", LINE), ("read", SECOND)):
        found: list[Spread] = [spread(costs, work, "redis_cpu_us") for costs in rounds.values()]
        keys, middles = list(rounds), [one.middle for one in found]
        axis.plot(keys, middles, color=color, marker="o", markersize=4, linewidth=1.4, label=f"{work} (band: least to greatest)")
        axis.fill_between(
            keys, [one.least for one in found], [one.greatest for one in found], color=color, alpha=0.15, linewidth=0
        )


def _memory(axis: Axes, aged: Sequence[tuple[Kept, float | None]]) -> None:
    """A bar each, of it the state's own bytes; its limit as a mark."""
    names = [f"{one.server.name}\n{one.layout}" for one, _ in aged]
    values = [one.value_bytes / 1024 for one, _ in aged]
    axis.barh(names, values, color=LINE, height=0.55, label="the state's doubles")
    rest = [one.kib - value for (one, _), value in zip(aged, values, strict=True)]
    axis.barh(names, rest, left=values, color=FAINT, height=0.55, label="key, expiry, hash table, allocator")
    limits = [(name, limit) for name, (_, limit) in zip(names, aged, strict=True) if limit is not None]
    axis.plot(
        [limit for _, limit in limits],
        [name for name, _ in limits],
        "|",
        color=SECOND,
        markersize=30,
        markeredgewidth=2,
        label="bar",
    )
    axis.invert_yaxis()
    axis.set_xlabel("Redis memory, KiB an entity")
    axis.set_xlim(0, 1.15 * max(one.kib for one, _ in aged))
    axis.tick_params(axis="y", labelsize=8)
    axis.set_title("Memory, three windows", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.4, -0.16), ncols=3, columnspacing=1)


def resident(path: Path, samples: Sequence[tuple[int, float]], bar: float, half: int) -> None:
    """A worker's resident memory (events published, MiB) against the greatest that it may be; `half` is where growth counts."""
    figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
    axis.plot([done / 1e6 for done, _ in samples], [mib for _, mib in samples], color=LINE, linewidth=1.2, label="worker")
    axis.axhline(bar, color=SECOND, linestyle="--", linewidth=1, label=f"bar: {bar:.0f} MiB")
    axis.axvline(half / 1e6, color=FAINT, linestyle=":", linewidth=1, label="growth is counted from here")
    axis.set_xlabel("events scored, millions")
    axis.set_ylabel("resident memory, MiB")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, loc="lower right")
    save(figure, (axis,), path)
