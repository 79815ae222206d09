"""The demo's workers: how many are started, ready, alive, and how they end."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from streams.demo.errors import NoWorkersLeft
from streams.demo.process import DemoProcess
from streams.embedded.ports import free_ports
from streams.settings import Settings

READY_SECONDS = 120.0  # 6 s on two quiet cores
STOP_SECONDS = 20.0  # a worker drains, and gives up by itself before this
POLL_SECONDS = 0.1


@dataclass(slots=True)
class Workers:
    """All of them, numbered from 1. `close` ends what runs, in order, and removes the logs."""

    started: list[DemoProcess] = field(default_factory=list)

    @classmethod
    def start(cls, count: int, pipeline: Path, settings: Settings) -> "Workers":
        workers = cls()
        try:
            for number, port in enumerate(free_ports(count), 1):
                workers.started.append(DemoProcess.start(f"Worker {number}", "worker", pipeline, port, settings))
        except BaseException:
            workers.close()
            raise
        return workers

    @property
    def alive(self) -> list[DemoProcess]:
        return [worker for worker in self.started if worker.process.running]

    def fallen(self) -> list[DemoProcess]:
        """Those that ended by themselves since the last call."""
        return [worker for worker in self.started if worker.fallen]

    def wait_until_ready(self, progress: Callable[[str, int, int], None]) -> None:
        """Until each owns its partitions; NoWorkersLeft where one ends or does not get there."""
        deadline = time.monotonic() + READY_SECONDS
        while (ready := sum(worker.ready for worker in self.started)) < len(self.started):
            progress("starting the workers", ready, len(self.started))
            if fallen := self.fallen():
                raise NoWorkersLeft(fallen[0].last_words())
            if time.monotonic() > deadline:
                raise NoWorkersLeft(f"Not every worker was ready within {READY_SECONDS:.0f} s; run: tidegate doctor")
            time.sleep(POLL_SECONDS)
        progress("starting the workers", ready, ready)

    def close(self) -> None:
        """SIGTERM to all at once: they drain side by side."""
        for worker in self.started:
            worker.process.send(signal.SIGTERM)
        for worker in self.started:
            worker.close(STOP_SECONDS)
