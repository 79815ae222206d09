"""The demo's monitor: `tidegate monitor`, begun where the warm-up ends, and what it says, read from its topic."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streams.demo.drift_reader import DriftReader
from streams.demo.findings import Findings
from streams.demo.lag import LagReader
from streams.demo.process import DemoProcess
from streams.embedded.ports import free_ports
from streams.outputs import TopicNames
from streams.settings import Settings

READY_SECONDS = 30.0  # 5 s on two quiet cores
STOP_SECONDS = 10.0
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class DemoMonitor:
    """The process and the reader of its topic. Without the process the demo goes on: workers serve without a monitor too."""

    process: DemoProcess
    reader: DriftReader

    @classmethod
    def start(cls, pipeline: str, file: Path, settings: Settings) -> "DemoMonitor":
        """On what is served from now on."""
        begin_at_the_end(settings.kafka, pipeline)
        (port,) = free_ports(1)
        process = DemoProcess.start("The monitor", "monitor", file, port, settings)
        reader = DriftReader(settings.kafka, pipeline)
        reader.start()
        return cls(process, reader)

    @property
    def alive(self) -> bool:
        return self.process.process.running

    @property
    def found(self) -> Findings:
        return self.reader.found

    def wait_until_ready(self, progress: Callable[[str, int, int], None]) -> None:
        """Or until it ended, or for a while: its start would slow the first seconds of a replay."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.process.ready and self.alive and time.monotonic() < deadline:
            progress("starting the monitor", 0, 1)
            time.sleep(POLL_SECONDS)
        progress("starting the monitor", 1, 1)

    def close(self) -> None:
        self.reader.stop()
        self.process.close(STOP_SECONDS)


def begin_at_the_end(bootstrap_servers: str, pipeline: str) -> None:
    """Lets the pipeline's monitor, which must not run yet, judge what is served from now on.

    Vectors of windows that were still filling would be drift. KafkaException where it runs, or Kafka does not answer.
    """
    from streams.monitor.app import monitor_group  # it brings Faust

    names = TopicNames.of(pipeline)
    lag = LagReader(bootstrap_servers, monitor_group(pipeline), [names.features, names.dead_letters])
    try:
        lag.skip()
    finally:
        lag.close()
