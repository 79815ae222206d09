"""What docs/guarantees.md shows: a worker's memory over a backlog, and what workers held over a soak."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.plots import FAINT, LINE, SECOND, plt, save
from tests.faults.sampling import Sample, column


def backlog(path: Path, workers: Mapping[str, Sequence[Sample]], drained: Sequence[tuple[float, float]], title: str) -> None:
    """Each worker's memory over time, above; events drained (seconds, events), below."""
    figure, (memory, events) = plt.subplots(2, 1, figsize=(9, 5.6), sharex=True, height_ratios=(3, 2), layout="constrained")
    for (name, samples), color in zip(workers.items(), (LINE, SECOND, FAINT), strict=False):
        memory.plot([one.at for one in samples], column(samples, "rss_mib"), color=color, linewidth=1.2, label=name)
    memory.set_ylabel("resident memory, MiB")
    memory.set_ylim(bottom=0)
    memory.set_title(title, loc="left", fontsize=11)
    if len(workers) > 1:
        memory.legend(frameon=False, loc="lower right")
    events.plot([at for at, _ in drained], [done / 1e6 for _, done in drained], color=LINE, linewidth=1.5)
    events.set_ylabel("events committed, millions")
    events.set_xlabel("seconds")
    events.set_ylim(bottom=0)
    save(figure, (memory, events), path)


def soak(
    path: Path,
    workers: Sequence[tuple[bool, Sequence[Sample]]],
    clients: Sequence[tuple[float, float]],
    faults: Sequence[tuple[float, str]],
    title: str,
) -> None:
    """What each worker held, the one that lives throughout (True) in colour; faults as marks at the foot."""
    panels = (("rss_mib", "memory, MiB"), ("files", "open files"), ("threads", "threads"), ("tasks", "asyncio tasks"))
    figure, axes = plt.subplots(3, 2, figsize=(11, 8.4), sharex=True, layout="constrained")
    flat = list(axes.flat)
    for axis, (name, label) in zip(flat, (*panels, ("broker", "connections to the broker")), strict=False):
        for lasting, samples in sorted(workers, key=lambda one: one[0]):
            at = [one.at / 60 for one in samples]
            axis.plot(at, column(samples, name), color=LINE if lasting else FAINT, linewidth=1.4 if lasting else 0.8)
        axis.set_ylabel(label)
    flat[5].plot([at / 60 for at, _ in clients], [count for _, count in clients], color=LINE, linewidth=1.2)
    flat[5].set_ylabel("Redis connected_clients")
    for axis in flat:
        axis.set_ylim(bottom=0, top=axis.get_ylim()[1] * 1.1)
        axis.plot([at / 60 for at, _ in faults], [0] * len(faults), "|", color=SECOND, markersize=8, clip_on=False)
    for axis in axes[2]:
        axis.set_xlabel("minutes (marks: faults)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    save(figure, flat, path)
