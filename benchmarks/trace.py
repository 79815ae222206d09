"""What became of every event under a load, and the figures that follow from it. No Kafka here."""

from dataclasses import dataclass

import numpy as np

from benchmarks.beside import Floats


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds that worker and Redis had used by a moment, in seconds after the start."""

    at: float
    worker: float
    redis: float


@dataclass(frozen=True, slots=True)
class Trace:
    """Of each event, in seconds after the start: when it was due, when handed to the producer, when its prediction was there.

    Latency counts from when it was due. Were it from when it was sent, a generator that is held up would hide what its events
    met. ``arrived`` is NaN where no prediction came.
    """

    due: Floats
    handed: Floats
    arrived: Floats
    costs: list[Cost]

    def latencies_ms(self, begin: float, end: float) -> Floats:
        """Of the events due within; infinite where no prediction came."""
        first, last = np.searchsorted(self.due, [begin, end])
        latency = (self.arrived[first:last] - self.due[first:last]) * 1000
        return np.where(np.isnan(latency), np.inf, latency)

    def quantile_ms(self, share: float, begin: float, end: float) -> float:
        """Of the events due within; the nearest event's, so that one without a prediction leaves those below it alone."""
        return float(np.quantile(self.latencies_ms(begin, end), share, method="nearest"))

    def achieved(self, begin: float, end: float) -> float:
        """Predictions a second that came within, whenever their events were due."""
        return self._came(begin, end) / (end - begin)

    def demanded(self, begin: float, end: float) -> float:
        """Events a second that were due within."""
        first, last = np.searchsorted(self.due, [begin, end])
        return float(last - first) / (end - begin)

    def sent_late_ms(self, share: float, begin: float, end: float) -> float:
        """A quantile of how far the generator was behind its schedule."""
        first, last = np.searchsorted(self.due, [begin, end])
        return float(np.quantile(self.handed[first:last] - self.due[first:last], share)) * 1000

    def lag(self, moments: Floats) -> Floats:
        """Events due by each moment that had no prediction by then."""
        came = np.sort(self.arrived[~np.isnan(self.arrived)])
        behind = np.searchsorted(self.due, moments, side="right") - np.searchsorted(came, moments, side="right")
        return behind.astype(np.float64)

    def cpu_us(self, begin: float, end: float) -> tuple[float, float]:
        """Worker's and Redis's microseconds a prediction, between the samples nearest to both moments."""
        first, last = (min(self.costs, key=lambda cost: abs(cost.at - moment)) for moment in (begin, end))
        each = 1e6 / max(self._came(first.at, last.at), 1)
        return (last.worker - first.worker) * each, (last.redis - first.redis) * each

    def _came(self, begin: float, end: float) -> int:
        return int(np.count_nonzero((self.arrived >= begin) & (self.arrived < end)))
