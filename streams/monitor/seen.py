"""Which source records were counted already: stretches of offsets, one list a source partition, small however long the stream.

A worker that crashed between publishing and merging publishes again under the same ids. The rows of one record that are of one
partition cover all offsets from the first to the last: what lies between was rejected, and will not come.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from featurestore.events import Bools, Ints

# Gaps are where a chunk ended with rejects. With more of them the oldest are taken for counted, which only a record that comes
# this many gaps late would notice.
STRETCHES_MAX = 256


class Seen:
    """Offsets counted, by source partition."""

    def __init__(self, held: Mapping[int, list[list[int]]] | None = None) -> None:
        """``held``: what `as_lists` gave."""
        self._stretches: dict[int, Ints] = {p: np.array(rows, dtype=np.int64) for p, rows in (held or {}).items()}

    def fresh(self, partitions: npt.NDArray[Any], offsets: npt.NDArray[Any]) -> Bools:
        """Which rows of one record are new, bool (n,); they are counted from now on."""
        new = np.ones(len(offsets), dtype=np.bool_)
        for partition in np.unique(partitions).tolist():
            rows = np.flatnonzero(partitions == partition)
            mine = offsets[rows].astype(np.int64)
            held = self._stretches.get(partition, np.zeros((0, 2), dtype=np.int64))
            place = np.searchsorted(held[:, 0], mine, side="right") - 1
            new[rows] = (place < 0) | (mine > held[place, 1]) if len(held) else True
            self._stretches[partition] = _joined(held, int(mine.min()), int(mine.max()))
        return new

    def as_lists(self) -> dict[int, list[list[int]]]:
        """By partition, the first and last offset of each stretch, ascending."""
        return {partition: held.tolist() for partition, held in self._stretches.items()}


def _joined(held: Ints, first: int, last: int) -> Ints:
    """The stretches with one more, (k, 2); those that touch become one."""
    apart = (held[:, 1] < first - 1) | (held[:, 0] > last + 1)
    touching = held[~apart]
    if len(touching):
        first, last = min(first, int(touching[0, 0])), max(last, int(touching[-1, 1]))
    rows = np.vstack([held[apart], [[first, last]]])
    rows = rows[np.argsort(rows[:, 0])]
    if len(rows) > STRETCHES_MAX:
        spare = len(rows) - STRETCHES_MAX
        rows = np.vstack([[[rows[0, 0], rows[spare, 1]]], rows[spare + 1 :]])
    return rows
