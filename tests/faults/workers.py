"""Worker processes of a fault run, and who starts those again that ended by themselves."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.faults.model import ROOT

POLL_SECONDS = 0.01
ANNOUNCED = re.compile(r"(http://\S+/readyz); partitions of (.*)")


class Worker:
    """One worker process. Signals sent here are on purpose: the supervisor leaves such a worker alone."""

    def __init__(self, name: str, folder: Path, options: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        self._fault = folder / f"{name}.fault"
        self.meant_to_end = False
        self.started = time.time()
        command = [sys.executable, "-m", "tests.faults.worker", json.dumps(options)]
        given = {**os.environ, **environment, "TIDEGATE_FAULT_FILE": str(self._fault), "OMP_NUM_THREADS": "1"}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env=given, stdout=log, stderr=log, cwd=ROOT)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number where one ended it."""
        return self._process.poll()

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    @property
    def ready(self) -> bool:
        """Whether it runs and has been assigned partitions (or none, there being too few)."""
        return self.alive and ANNOUNCED.search(self.said()) is not None

    @property
    def url(self) -> str:
        """Where its pages are: append /metrics. Known once it is ready."""
        found = ANNOUNCED.search(self.said())
        assert found is not None, f"{self.name} is not ready"
        return found.group(1).removesuffix("/readyz")

    @property
    def partitions(self) -> str:
        """What it said was last assigned to it, as in 'faults.scored 0 1, faults.fed 0'."""
        found = ANNOUNCED.findall(self.said())
        return found[-1][1] if found else ""

    @property
    def assignments(self) -> int:
        """How often it was given its partitions."""
        return len(ANNOUNCED.findall(self.said()))

    @property
    def slowed(self) -> int:
        """How often a fault has made a chunk of it slow."""
        return self.said().count("a fault: slow")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def arm(self, fault: str) -> None:
        """Arms a fault of tests.faults.worker in the running process, such as "after_read:3"; "off" disarms."""
        self._fault.write_text(fault)
        self._process.send_signal(signal.SIGRTMIN)

    def kill(self) -> None:
        self._end(signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> None:
        """SIGTERM; see `wait`."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def wait(self, seconds: float = 30.0) -> int:
        """Its exit code; TimeoutError if it still runs after so long."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.name} did not end within {seconds:.0f} s") from error

    def _end(self, number: signal.Signals) -> None:
        self.meant_to_end = True
        self._process.send_signal(number)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.resume()
            self.terminate()
        with contextlib.suppress(TimeoutError):
            self.wait(15)
        self.kill()


class Supervisor:
    """Replaces workers that ended by themselves, as a container's restart policy would; those killed or ended on purpose not."""

    def __init__(self, workers: list[Worker], start: Callable[[], Worker]) -> None:
        self.active = True
        self.restarts = 0
        self.exits: list[str] = []  # name, exit code and last words of each worker that ended by itself
        self._workers, self._start = workers, start
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            for worker in list(self._workers):
                if self.active and ended_by_itself(worker):
                    self._workers.remove(worker)
                    words = worker.said().strip().splitlines()[-1:]
                    self.exits.append(f"{worker.name} exit {worker.exit_code}: {''.join(words)}")
                    self.restarts += 1
                    self._start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def ended_by_itself(worker: Worker) -> bool:
    """SIGKILL is how named points end a worker: the scenario's own doing."""
    return not worker.alive and not worker.meant_to_end and worker.exit_code != -signal.SIGKILL
