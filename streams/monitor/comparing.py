"""Compares served vectors with offline ones from time to time, by `tidegate skew` in a process beside the monitor's."""

from collections.abc import Callable
from typing import Any

from mode import Service

from monitors.monitor_metrics import MonitorMetrics
from streams.monitor.closing import entry
from streams.monitor.outbox import batch
from streams.monitor.records import drift_topic
from streams.monitor.skew_process import run_skew
from streams.publisher import Publisher


class Comparing(Service):  # type: ignore[misc]
    """Every ``seconds``, while ``at_work`` says that this monitor is the one. ``pipeline`` is as on the command line."""

    def __init__(
        self,
        pipeline: str,
        name: str,
        seconds: int,
        share: float,
        publisher: Publisher,
        metrics: MonitorMetrics,
        at_work: Callable[[], bool],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._pipeline, self._topic, self._seconds, self._share = pipeline, drift_topic(name), seconds, share
        self._publisher, self._metrics, self._at_work = publisher, metrics, at_work

    @Service.task  # type: ignore[untyped-decorator]
    async def _regularly(self) -> None:
        while not self.should_stop:
            await self.sleep(self._seconds)
            if self._at_work() and not self.should_stop:
                await self.compare()

    async def compare(self) -> None:
        """Once; what comes of it is published and told Prometheus."""
        report = await run_skew(self._pipeline, f"{self._seconds}s", self._share)
        self._metrics.skew(None if report is None else {one.feature: one.ratio for one in report.features})
        if report is not None:
            await self._publisher.publish([batch(self._topic, [entry(report)])])
