"""A Prometheus histogram that takes an array at once: one search for a chunk instead of a call an event."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """``buckets`` are upper bounds in the metric's base unit, ascending, without +Inf; one label, set by ``labels``."""

    def __init__(self, name: str, documentation: str, label: str, buckets: Sequence[float], constant: dict[str, str]) -> None:
        self._name, self._documentation = name, documentation
        self._labels, self._values = [*constant, label], list(constant.values())
        self._bounds = np.array(buckets, dtype=np.float64)
        self._counts: dict[str, npt.NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}

    def preset(self, label: str) -> None:
        """Makes the series exist with nothing in it."""
        self._counts.setdefault(label, np.zeros(len(self._bounds) + 1, dtype=np.int64))
        self._sums.setdefault(label, 0.0)

    def observe(self, label: str, values: npt.NDArray[np.float64]) -> None:
        """Counts every value; NaN is left out."""
        self.preset(label)
        known = values[~np.isnan(values)]
        self._counts[label] += np.bincount(np.searchsorted(self._bounds, known), minlength=len(self._bounds) + 1)
        self._sums[label] += float(known.sum())

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for label, counts in list(self._counts.items()):
            cumulative = np.cumsum(counts).tolist()
            family.add_metric([*self._values, label], list(zip(bounds, cumulative, strict=True)), self._sums[label])
        yield family
