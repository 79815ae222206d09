"""One of the demo's processes: a `tidegate` command as a user starts it, guarded, so that it does not outlive the demo."""

import signal
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from streams.demo.story import ROOT
from streams.embedded.errors import last_lines
from streams.embedded.ports import LOOPBACK
from streams.embedded.process import GuardedProcess
from streams.settings import Settings

# What a killed process did moves to another after this; the commands' own default of 30 s is longer than most look at a demo.
SESSION_SECONDS = 6.0


@dataclass(slots=True)
class DemoProcess:
    """`tidegate worker` or `tidegate monitor` on one pipeline, and where it answers."""

    title: str
    port: int
    log: Path
    process: GuardedProcess
    told: bool = False  # that it ended by itself

    @classmethod
    def start(cls, title: str, command: str, pipeline: Path, port: int, settings: Settings) -> "DemoProcess":
        folder = Path(tempfile.mkdtemp(prefix=f"tidegate-{command}-"))
        log = folder / "log"
        return cls(title, port, log, GuardedProcess(_command(command, pipeline, port, settings), log=log, remove=folder))

    @property
    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/readyz", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def fallen(self) -> bool:
        """Whether it ended by itself; true once."""
        new = not self.told and not self.process.running
        self.told = self.told or new
        return new

    def last_words(self) -> str:
        code = self.process.exit_code
        shown = "".join(f"\n  | {line}" for line in last_lines(self.log))
        how = "was killed (SIGKILL)" if code == -signal.SIGKILL else f"ended by itself, exit code {code}"
        return f"{self.title} (process {self.process.pid}) {how}.{shown}"

    def close(self, grace_seconds: float) -> None:
        self.process.stop(grace_seconds)
        self.process.close()


def _command(command: str, pipeline: Path, port: int, settings: Settings) -> list[str]:
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
    return ["env", *variables, sys.executable, "-c", script, command, str(pipeline), *options]
