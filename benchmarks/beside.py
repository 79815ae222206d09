"""A process beside the one that is measured: it prepares, begins at a moment that all are told, and leaves an array behind.

Moments are `time.monotonic()`, which on Linux and macOS is one clock for all processes. Such modules import little, because they
start while the contender does.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parent.parent
READY = b"ready\n"
Floats = npt.NDArray[np.float64]


def told_start() -> float:
    """In the process itself, when it has prepared: says so, and waits for the moment to begin."""
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    return float(input())


class Beside:
    """`python -m MODULE OUT ARGUMENTS`, where OUT is the file for its array; killed at the end if it still runs."""

    def __init__(self, module: str, folder: Path, *arguments: str) -> None:
        self._module, self._out = module, folder / f"{module}.npy"
        self._log = folder / f"{module}.log"
        command = [sys.executable, "-m", module, str(self._out), *arguments]
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ.copy(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != READY:
            raise self._failed()

    def begin(self, start: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{start!r}\n".encode())
        self._process.stdin.flush()

    def result(self, timeout_seconds: float) -> Floats:
        """Its array, once it has ended; RuntimeError with its last words where it failed."""
        if self._process.wait(timeout_seconds) != 0:
            raise self._failed()
        loaded: Floats = np.load(self._out)
        return loaded

    def _failed(self) -> RuntimeError:
        self._process.wait(10)
        return RuntimeError(f"{self._module} ended with exit code {self._process.returncode}: {self._log.read_text()[-1000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
