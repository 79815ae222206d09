"""The demo's workers: `tidegate worker` as a user starts it, each under a guardian, so that none outlives the demo."""

import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from streams.demo.errors import NoWorkersLeft
from streams.demo.flights import PIPELINE_FILE, ROOT
from streams.embedded.errors import last_lines
from streams.embedded.ports import LOOPBACK, free_ports
from streams.embedded.process import GuardedProcess
from streams.settings import Settings

READY_SECONDS = 120.0  # 6 s on two quiet cores
STOP_SECONDS = 20.0  # a worker drains, and gives up by itself before this
# A killed worker's partitions move after this; the worker's own default of 30 s is longer than most people look at a demo.
SESSION_SECONDS = 6.0
POLL_SECONDS = 0.1


@dataclass(slots=True)
class DemoWorker:
    """One worker process and where it answers."""

    number: int
    port: int
    log: Path
    process: GuardedProcess
    told: bool = False  # that it ended by itself

    @property
    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/readyz", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def last_words(self) -> str:
        code = self.process.exit_code
        shown = "".join(f"\n  | {line}" for line in last_lines(self.log))
        how = "was killed (SIGKILL)" if code == -signal.SIGKILL else f"ended by itself, exit code {code}"
        return f"Worker {self.number} (process {self.process.pid}) {how}.{shown}"


@dataclass(slots=True)
class Workers:
    """All of them. `close` ends what runs, in order, and removes the logs."""

    started: list[DemoWorker] = field(default_factory=list)

    @classmethod
    def start(cls, count: int, settings: Settings) -> "Workers":
        workers = cls()
        try:
            for number, port in enumerate(free_ports(count), 1):
                workers.started.append(_start(number, port, settings))
        except BaseException:
            workers.close()
            raise
        return workers

    @property
    def alive(self) -> list[DemoWorker]:
        return [worker for worker in self.started if worker.process.running]

    def fallen(self) -> list[DemoWorker]:
        """Those that ended by themselves since the last call."""
        new = [worker for worker in self.started if not worker.told and not worker.process.running]
        for worker in new:
            worker.told = True
        return new

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
            worker.process.stop(STOP_SECONDS)
            worker.process.close()


def _start(number: int, port: int, settings: Settings) -> DemoWorker:
    folder = Path(tempfile.mkdtemp(prefix=f"tidegate-worker-{number}-"))
    log = folder / "log"
    return DemoWorker(number, port, log, GuardedProcess(_command(port, settings), log=log, remove=folder))


def _command(port: int, settings: Settings) -> list[str]:
    """Through env(1), because a guarded process inherits our environment, and ours is not to be changed."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka,
        "REDIS_URL": settings.redis,
        "MLFLOW_TRACKING_URI": settings.registry_uri,
        "TIDEGATE_CACHE": str(settings.cache),
        "OMP_NUM_THREADS": "1",
    }
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from streams.cli import main; main()"
    options = ["--web-port", str(port), "--session-timeout", str(SESSION_SECONDS)]
    variables = [f"{name}={value}" for name, value in environment.items()]
    return ["env", *variables, sys.executable, "-c", script, "worker", str(PIPELINE_FILE), *options]
