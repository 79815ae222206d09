"""The style of all plots in docs/: colours, and a figure's last touch before it is written."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.use("Agg")
DOCS = Path(__file__).resolve().parents[1] / "docs" / "plots"
LINE, SECOND, FAINT = "#1f5f8b", "#b5541c", "#9aa5ad"
DPI = 110

__all__ = ["DOCS", "FAINT", "LINE", "SECOND", "plt", "save"]


def save(figure: Figure, axes: Sequence[Axes], path: Path) -> None:
    """Writes and closes a figure."""
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#e3e6e8", linewidth=0.8)
        axis.set_axisbelow(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
