"""Who is measured: how each is started, and how one learns of its chunks' sizes."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.workload import PIPELINE_FILE
from streams.embedded.ports import free_ports

ROOT = Path(__file__).parent.parent
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A name for tables, and the command; ``{port}`` stands for a free port."""

    name: str
    command: tuple[str, ...]
    title: str


WORKER = Contender(
    "tidegate",
    (str(Path(sys.executable).with_name("tidegate")), "worker", str(PIPELINE_FILE), "--web-port", "{port}"),
    "`tidegate worker`",
)
_PEER = (sys.executable, "-m", "benchmarks.peers.handwritten", str(PIPELINE_FILE))
CONTENDERS = (
    WORKER,
    Contender("by hand, sequential", _PEER, "hand-written loop, sequential"),
    Contender("by hand, overlapped", (*_PEER, "--overlapped"), "hand-written loop, overlapped"),
)


class Running:
    """A contender's process."""

    def __init__(self, contender: Contender, environment: dict[str, str], log: Path) -> None:
        self._port = free_ports(1)[0]
        self._log = log
        command = [word.format(port=self._port) for word in contender.command]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=errors
            )
        self._worker = contender.command == WORKER.command

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """RuntimeError, with its last words, if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended with exit code {self._process.returncode}: {self._log.read_text()[-1000:]}")

    def chunk_sizes(self) -> tuple[float, float]:
        """p50 and p99 of events a chunk; stops the process."""
        scraped = self._scrape() if self._worker else ""
        printed = self.stop()
        if self._worker:
            return quantiles(scraped, (0.5, 0.99))
        p50, p99 = json.loads(printed or b"[0, 0]")
        return p50, p99

    def _scrape(self) -> str:
        with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as response:
            text: str = response.read().decode()
        return text

    def stop(self) -> bytes:
        """SIGTERM, and SIGKILL to one that does not heed it; returns what it printed."""
        self._process.terminate()
        try:
            return self._process.communicate(timeout=STOP_SECONDS)[0]
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.communicate()[0]


_BUCKET = re.compile(r'^tidegate_chunk_events_bucket\{.*le="([^"]+)".*\} (\S+)$', re.MULTILINE)


def quantiles(metrics: str, wanted: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of the chunk histogram, interpolated within its buckets as Prometheus does."""
    buckets = [(float(bound), float(count)) for bound, count in _BUCKET.findall(metrics)]
    first, second = (_quantile(buckets, share) for share in wanted)
    return first, second


def _quantile(buckets: list[tuple[float, float]], share: float) -> float:
    total = buckets[-1][1] if buckets else 0.0
    below, counted = 0.0, 0.0
    for bound, count in buckets:
        if count >= share * total:
            inside = count - counted
            return below + (bound - below) * ((share * total - counted) / inside if inside else 1.0)
        below, counted = bound, count
    return below
