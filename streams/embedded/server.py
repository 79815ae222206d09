"""A server of the embedded stack: its data directory, its port, and the verbs tests and the demo use on it.

A subclass says which command to run and what an answer is. The port is chosen at the first start and kept, so that
clients find a restarted server where it was.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from streams.embedded.errors import ServerFailed
from streams.embedded.ports import free_ports
from streams.embedded.process import GuardedProcess

POLL_SECONDS = 0.02
PORT_TRIES = 3  # somebody may take a port between our look and the server's bind
IN_USE = "ddress already in use"


class EmbeddedServer(ABC):
    """One server process on loopback.

    `start`, `stop`, `kill` (SIGKILL), `pause` (SIGSTOP), `resume` and `restart` keep the data and the port;
    `restart(wipe=True)` keeps the port alone; `close`, or leaving the `with` block, removes the data unless
    `data_dir` was given.
    """

    name: ClassVar[str]
    start_seconds: ClassVar[float]
    stop_seconds: ClassVar[float]
    port_count: ClassVar[int] = 1
    remedy: ClassVar[str]

    def __init__(self, *, data_dir: Path | None = None) -> None:
        self._given_dir = data_dir
        self._directory: Path | None = None
        self._ports: list[int] = []
        self._process: GuardedProcess | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line; called when directory and ports are known."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server does its work now; must return within a second or so."""

    def _variables(self) -> Mapping[str, str]:
        """What the server's environment has besides ours."""
        return {}

    def _prepare(self) -> None:  # noqa: B027 - a hook; most servers need none
        """What must happen once to an empty data directory."""

    @property
    def port(self) -> int:
        return self._ports[0]

    @property
    def pid(self) -> int:
        """The server's own process id (not its guardian's)."""
        return self._started().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def directory(self) -> Path:
        if self._directory is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._directory

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name.lower()}.log"

    def start(self) -> Self:
        """Starts the server and returns when it answers; ServerFailed shows its log when it does not."""
        if self.running:
            return self
        fixed = bool(self._ports)
        for last in [True] if fixed else [False] * (PORT_TRIES - 1) + [True]:
            try:
                self._start_once()
                break
            except ServerFailed as error:
                if last or not any(IN_USE in line for line in error.tail):
                    raise
                self._ports = []
        return self

    def stop(self) -> None:
        """Ends the server in order; data and port stay."""
        if self._process is not None:
            self._process.stop(self.stop_seconds)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone. Data and port stay."""
        self._started().kill()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._started().send(signal.SIGSTOP)

    def resume(self) -> None:
        self._started().send(signal.SIGCONT)

    def restart(self, *, wipe: bool = False) -> None:
        """Stops and starts on the same port, with the same data or, with `wipe`, without any."""
        self.stop()
        if wipe:
            _empty(self.directory)
        self.start()

    def wait(self, timeout_seconds: float) -> int | None:
        """The exit code once the server has ended, or None after the timeout."""
        return self._started().wait(timeout_seconds)

    def failure(self) -> ServerFailed:
        """The error that says the server ended by itself."""
        return ServerFailed(f"{self.name} ended with exit code {self._started().exit_code}", self.log, self.remedy)

    def close(self) -> None:
        """Stops the server and removes its data, unless the data directory was given."""
        process, self._process = self._process, None
        if process is not None:
            if self._given_dir is not None:
                process.stop(self.stop_seconds)
            process.close()
        if self._directory is not None and self._given_dir is None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._directory, self._ports = None, []

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _started(self) -> GuardedProcess:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    def _start_once(self) -> None:
        self._directory = self._directory or self._make_directory()
        self._ports = self._ports or free_ports(self.port_count)
        self._prepare()
        before, self._process = self._process, None
        try:
            self._process = GuardedProcess(self._command(), log=self.log, remove=self._ephemeral, variables=self._variables())
        finally:
            if before is not None:
                before.release()  # only now: until here the former guardian minds the data
        self._wait_until_it_answers(self._process)

    @property
    def _ephemeral(self) -> Path | None:
        """The directory that goes with the server; none when the caller gave one."""
        return self._directory if self._given_dir is None else None

    def _make_directory(self) -> Path:
        if self._given_dir is None:
            return Path(tempfile.mkdtemp(prefix=f"tidegate-{self.name.lower()}-"))
        self._given_dir.mkdir(parents=True, exist_ok=True)
        return self._given_dir.resolve()

    def _wait_until_it_answers(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + self.start_seconds
        while not self._answers():
            if process.wait(POLL_SECONDS) is not None:
                raise self.failure()
            if time.monotonic() > deadline:
                process.kill()
                raise ServerFailed(f"{self.name} did not answer in {self.start_seconds:.0f} s", self.log, self.remedy)


def _empty(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()
