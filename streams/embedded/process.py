"""One guarded server process: started through the guardian, signalled, waited for, closed.

What the server is and when it answers is server.py's; who kills it when we die is guard.py's.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from streams.embedded import guard
from streams.embedded.errors import EmbeddedError

SLICE_SECONDS = 0.1


class GuardedProcess:
    """A server under a guardian's eyes. `remove` is the directory that goes when this process ends, if any.

    The server has our environment and `variables`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        remove: Path | None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        script = [sys.executable, "-I", "-S", guard.__file__]
        self._guardian = subprocess.Popen(
            [*script, str(os.getpid()), str(log), str(remove or ""), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is ours to handle
            cwd="/",
            env={**os.environ, **variables},
        )
        self.exit_code: int | None = None
        self._reading = threading.Lock()
        word, _, rest = self._read_line().partition(" ")
        if word != "pid":
            self.close()
            raise EmbeddedError(f"{command[0]} could not be started: {rest or 'the guardian ended'}")
        self.pid = int(rest)

    @property
    def running(self) -> bool:
        return self.wait(0) is None

    def wait(self, timeout_seconds: float) -> int | None:
        """The server's exit code, or None when it still runs after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while self.exit_code is None:
            left = max(0.0, deadline - time.monotonic())
            # In slices: another thread that waits may take the line, of which there is only one.
            if self._has_output(min(left, SLICE_SECONDS)):
                with self._reading:
                    self._take_exit_code()
            elif not left:
                break
        return self.exit_code

    def _take_exit_code(self) -> None:
        if self.exit_code is None and self._has_output(0):
            line = self._read_line()
            self.exit_code = int(line.partition(" ")[2]) if line.startswith("exit ") else -signal.SIGKILL

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the server, if it still runs."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL after the grace; a paused server is woken so that it can end."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        if self.wait(grace_seconds) is None:
            self.kill()

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self.send(signal.SIGKILL)
        self.wait(10)

    def release(self) -> None:
        """Ends the guardian and leaves the data directory: somebody else minds it from here."""
        with contextlib.suppress(OSError):
            os.write(self._stdin(), guard.KEEP)
        self.close()

    def close(self) -> None:
        """Closes the pipe: the guardian kills what runs, removes the data directory, and ends."""
        for end in (self._guardian.stdin, self._guardian.stdout):
            if end is not None and not end.closed:
                end.close()
        self._guardian.wait(2 * guard.GRACE_SECONDS)
        if self.exit_code is None:
            self.exit_code = -signal.SIGKILL

    def _stdin(self) -> int:
        assert self._guardian.stdin is not None
        return self._guardian.stdin.fileno()

    def _stdout(self) -> int:
        assert self._guardian.stdout is not None
        return self._guardian.stdout.fileno()

    def _has_output(self, timeout_seconds: float) -> bool:
        poll = select.poll()  # select() refuses file numbers from 1024 up, which a benchmark's process may reach
        poll.register(self._stdout(), select.POLLIN)
        return bool(poll.poll(timeout_seconds * 1000))

    def _read_line(self) -> str:
        """One line of the guardian's, empty at its end. Read byte by byte: lines are short and select() must see the rest."""
        line = b""
        while (byte := os.read(self._stdout(), 1)) not in (b"", b"\n"):
            line += byte
        return line.decode()
