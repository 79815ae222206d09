"""Who is measured: how each is started, and how one learns of its chunks' sizes."""

import json
import math
import os
import re
import subprocess
import sys
from collections import defaultdict
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
    events. ``events``: how many it drains at most, for those that would take minutes over a whole topic. ``processes``: how many
    of it share the topic, measured as one.
    """

    name: str
    command: tuple[str, ...]
    title: str
    chunks: Chunks = "printed"
    events: int | None = None
    processes: int = 1

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
    """A contender's processes, most often one; what each says on stderr goes to a log of its own."""

    def __init__(self, contender: Contender, environment: dict[str, str], log: Path) -> None:
        self.ports = free_ports(contender.processes)
        self._logs = [log.with_stem(f"{log.stem}-{number}") for number in range(contender.processes)]
        self._chunks = contender.chunks
        self._processes = []
        for port, own_log in zip(self.ports, self._logs, strict=True):
            command = [word.format(port=port) for word in contender.command]
            with own_log.open("wb") as errors:
                self._processes.append(
                    subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=errors)
                )

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    @property
    def pid(self) -> int:
        return self.pids[0]

    def check(self) -> None:
        """RuntimeError, with its last words, if one has ended."""
        for process, log in zip(self._processes, self._logs, strict=True):
            if process.poll() is not None:
                raise RuntimeError(f"it ended with exit code {process.returncode}: {log.read_text()[-1000:]}")

    def all_assigned(self) -> bool:
        """Whether every one is a worker that has partitions, as it said last."""
        return all(has_partitions(log.read_text(errors="replace")) for log in self._logs)

    def chunk_sizes(self) -> tuple[float, float]:
        """p50 and p99 of events a chunk; stops the processes."""
        scraped = "".join(map(_metrics, self.ports)) if self._chunks == "scraped" else ""
        printed = self.stop()
        if self._chunks == "scraped":
            return quantiles(scraped, (0.5, 0.99))
        return (1.0, 1.0) if self._chunks == "single" else last_pair(printed)

    def mean_chunk(self) -> float:
        """Events a chunk so far in the mean; NaN of those that have no metrics."""
        return mean("".join(map(_metrics, self.ports))) if self._chunks == "scraped" else math.nan

    def stop(self) -> bytes:
        """SIGTERM, and SIGKILL to those that do not heed it; returns what they printed."""
        for process in self._processes:
            process.terminate()
        return b"".join(map(_ended, self._processes))


def _metrics(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text: str = response.read().decode()
    return text


def _ended(process: subprocess.Popen[bytes]) -> bytes:
    try:
        return process.communicate(timeout=STOP_SECONDS)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


def has_partitions(said: str) -> bool:
    """Whether a worker's last word on its partitions names some.

    >>> has_partitions("p: model p v1, http://127.0.0.1:1/readyz; partitions of payments 0 1")
    True
    >>> has_partitions("p: model p v1, http://127.0.0.1:1/readyz; partitions of none (others have them all)")
    False
    """
    found = re.findall(r"/readyz; partitions of (.+)$", said, re.MULTILINE)
    return bool(found) and not found[-1].startswith("none ")


def last_pair(printed: bytes) -> tuple[float, float]:
    """The two numbers on the last line that is a JSON array; a framework may print a banner before.

    >>> last_pair(b"starting\\n[1000.0, 1000.0]\\nbye\\n")
    (1000.0, 1000.0)
    """
    found = [line for line in printed.splitlines() if line.startswith(b"[")]
    first, second = json.loads(found[-1]) if found else (0.0, 0.0)
    return first, second


_TOTALS = re.compile(r"^tidegate_chunk_events_(sum|count)\{.*\} (\S+)$", re.MULTILINE)
_BUCKET = re.compile(r'^tidegate_chunk_events_bucket\{.*le="([^"]+)".*\} (\S+)$', re.MULTILINE)


def mean(metrics: str) -> float:
    """Mean of the chunk histogram, or of several; NaN of an empty one."""
    totals: dict[str, float] = defaultdict(float)
    for name, value in _TOTALS.findall(metrics):
        totals[name] += float(value)
    return totals["sum"] / totals["count"] if totals["count"] else math.nan


def quantiles(metrics: str, wanted: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of the chunk histogram, interpolated within its buckets as Prometheus does; several histograms are added up."""
    buckets: dict[float, float] = defaultdict(float)
    for bound, count in _BUCKET.findall(metrics):
        buckets[float(bound)] += float(count)
    first, second = (_quantile(sorted(buckets.items()), share) for share in wanted)
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
