"""Who is measured: how each is started, and how one learns of its chunks' sizes."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

from benchmarks.workload import PIPELINE_FILE
from streams.embedded.ports import free_ports

ROOT = Path(__file__).parent.parent
STOP_SECONDS = 20.0
Chunks = Literal["scraped", "printed", "single"]


@dataclass(frozen=True, slots=True)
class Contender:
    """A name for rows, the command (``{port}`` stands for a free port), and a title for tables.

    ``chunks``: how its chunks' sizes are learnt, from its metrics, from what it prints at its end, or that it takes single
    events. ``events``: how many it drains at most, for those that would take minutes over a whole topic.
    """

    name: str
    command: tuple[str, ...]
    title: str
    chunks: Chunks = "printed"
    events: int | None = None

    def share(self, events: int) -> int:
        """How many of so many events it drains."""
        return events if self.events is None else min(events, self.events)


WORKER = Contender(
    "tidegate",
    (str(Path(sys.executable).with_name("tidegate")), "worker", str(PIPELINE_FILE), "--web-port", "{port}"),
    "`tidegate worker`",
    chunks="scraped",
)
_BY_HAND = (sys.executable, "-m", "benchmarks.peers.handwritten", str(PIPELINE_FILE))
SEQUENTIAL = Contender("by hand, sequential", _BY_HAND, "hand-written loop, sequential")
OVERLAPPED = Contender("by hand, overlapped", (*_BY_HAND, "--overlapped"), "hand-written loop, overlapped")


class Running:
    """A contender's process."""

    def __init__(self, contender: Contender, environment: dict[str, str], log: Path) -> None:
        self._port = free_ports(1)[0]
        self._log, self._chunks = log, contender.chunks
        command = [word.format(port=self._port) for word in contender.command]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=errors
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """RuntimeError, with its last words, if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended with exit code {self._process.returncode}: {self._log.read_text()[-1000:]}")

    def chunk_sizes(self) -> tuple[float, float]:
        """p50 and p99 of events a chunk; stops the process."""
        scraped = self._scrape() if self._chunks == "scraped" else ""
        printed = self.stop()
        if self._chunks == "scraped":
            return quantiles(scraped, (0.5, 0.99))
        return (1.0, 1.0) if self._chunks == "single" else last_pair(printed)

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


def last_pair(printed: bytes) -> tuple[float, float]:
    """The two numbers on the last line that is a JSON array; a framework may print a banner before.

    >>> last_pair(b"starting\\n[1000.0, 1000.0]\\nbye\\n")
    (1000.0, 1000.0)
    """
    found = [line for line in printed.splitlines() if line.startswith(b"[")]
    first, second = json.loads(found[-1]) if found else (0.0, 0.0)
    return first, second


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
