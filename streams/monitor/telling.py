"""What Prometheus hears of a window's records."""

from collections.abc import Iterable

from monitors.monitor_metrics import MonitorMetrics
from streams.monitor.records import DriftRecord, FeatureDrift, WindowSummary


def tell(metrics: MonitorMetrics, records: Iterable[DriftRecord], now: float) -> None:
    """Sets the gauges and counts; `now` in seconds since the epoch."""
    for record in records:
        if isinstance(record, FeatureDrift):
            metrics.feature(record.feature, record.psi, record.psi_excess, record.state, record.severity)
        elif isinstance(record, WindowSummary):
            metrics.window(now, record.n, record.state, record.decision_rate)
            metrics.quality(record.checks, record.quality_score, record.feeds)
