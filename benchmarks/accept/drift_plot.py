"""`python -m benchmarks.accept.drift_plot`: the figure of docs/drift.md, the detectable shift against a window's size."""

import numpy as np

from benchmarks.accept.drift_statistics import FEATURES, STREAMS
from benchmarks.accept.drift_streams import values
from benchmarks.plots import DOCS, FAINT, LINE, SECOND, plt, save
from monitors.drift.reference import Column, profile_column

REFERENCE_ROWS, COLUMNS, SEED = 1_000_000, 3, 1
FLOOR = 0.145  # sd of a normal in deciles that make a PSI of 0.02
SIZES = (250, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


def shifts(phi: float) -> list[float]:
    """Mean over a few columns, for each of `SIZES`, in sd; each profile is made for windows of that size."""
    rows = values(REFERENCE_ROWS, COLUMNS, phi, SEED)
    found = []
    for size in SIZES:
        made = [profile_column(Column("x", "number", column), size, FEATURES) for column in rows.T.copy()]
        found.append(float(np.mean([feature.shift_at(size) for feature in made])))
    return found


def main() -> None:
    figure, axis = plt.subplots(figsize=(7.5, 4), layout="constrained")
    for (name, phi), color in zip(STREAMS, (LINE, SECOND), strict=True):
        found = shifts(phi)
        print(name, [f"{size}: {shift:.3f}" for size, shift in zip(SIZES, found, strict=True)])
        axis.plot(SIZES, found, color=color, marker="o", markersize=4, linewidth=1.4, label=name)
    axis.axhline(FLOOR, color=FAINT, linestyle="--", linewidth=1, label="smaller ones are let pass: PSI beyond chance under 0.02")
    axis.set_xscale("log")
    axis.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axis.set_xticks([], minor=True)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("events of a window")
    axis.set_ylabel("minimum detectable shift, sd")
    axis.legend(frameon=False)
    save(figure, (axis,), DOCS / "detectable_shift.png")


if __name__ == "__main__":
    main()
