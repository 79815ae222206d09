"""The drill's workers, monitor and lag process: `tidegate` commands, guarded, on ports that stay theirs over a restart."""

import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from streams.demo.story import ROOT
from streams.embedded.errors import ServerFailed, last_lines
from streams.embedded.ports import LOOPBACK, free_ports
from streams.embedded.process import GuardedProcess

SCRIPT = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from streams.cli import main; main()"
STOP_SECONDS = 20.0
LINES = 3  # of a log


class Command:
    """A `tidegate` command with its pages on a port of its own; what it says goes to `<title>.log` in a folder."""

    def __init__(self, title: str, arguments: list[str], variables: Mapping[str, str], folder: Path) -> None:
        self.title = title
        self.log = folder / f"{title}.log"
        (self.port,) = free_ports(1)
        self._command = [sys.executable, "-c", SCRIPT, *arguments, "--web-port", str(self.port)]
        self._variables = variables
        self._process: GuardedProcess | None = None

    @property
    def target(self) -> str:
        """For Prometheus."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def ready(self) -> bool:
        """ServerFailed where it has ended."""
        if self._process is None or not self._process.running:
            raise ServerFailed(f"{self.title} has ended", self.log, "")
        try:
            with urllib.request.urlopen(f"http://{self.target}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def start(self) -> None:
        self._process = GuardedProcess(self._command, log=self.log, remove=None, variables=self._variables)

    def stop(self) -> None:
        """In order."""
        if self._process is not None:
            self._process.stop(STOP_SECONDS)
            self.close()

    def restart(self) -> None:
        """As a deployment does it."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def said(self) -> str:
        """The last lines of what it has said."""
        return "\n".join(last_lines(self.log, LINES))
