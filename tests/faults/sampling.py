"""Once a second: what each worker process holds. Memory, open files, threads, sockets to each server, asyncio tasks."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from featurestore.events import Floats

EVERY_SECONDS = 1.0
INSIDE = Path(__file__).parent / "inside"
FIGURES = ("rss_mib", "files", "threads", "tasks")


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment; ``at`` in seconds since sampling began; ``sockets`` by server; ``tasks`` NaN where unknown."""

    at: float
    rss_mib: float
    files: int
    threads: int
    tasks: float
    sockets: Mapping[str, int]


class Sampler:
    """Samples until closed. ``servers`` maps a name to a port on loopback; ``pids`` tells which processes there are now.

    ``probe`` gives one figure more, or None while it cannot be had: kept with its second in ``probed``.
    """

    def __init__(
        self,
        pids: Callable[[], Iterable[int]],
        servers: Mapping[str, int],
        counts: Path | None = None,
        probe: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.samples: dict[int, list[Sample]] = defaultdict(list)
        self.probed: list[tuple[float, float]] = []
        self._probe = probe
        self._pids, self._servers, self._counts = pids, {port: name for name, port in servers.items()}, counts
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            for pid in list(self._pids()):
                try:
                    sample = self._sample(psutil.Process(pid))
                except psutil.Error:
                    continue  # it has just ended
                if sample.rss_mib:  # else it is ending
                    self.samples[pid].append(sample)
            if (value := self._probe()) is not None:
                self.probed.append((self.seconds, value))

    def _sample(self, process: psutil.Process) -> Sample:
        sockets: dict[str, int] = dict.fromkeys(self._servers.values(), 0)
        for connection in process.net_connections("tcp4"):
            if connection.status == psutil.CONN_ESTABLISHED and connection.raddr and connection.raddr.port in self._servers:
                sockets[self._servers[connection.raddr.port]] += 1
        return Sample(
            at=self.seconds,
            rss_mib=process.memory_info().rss / 2**20,
            files=process.num_fds(),
            threads=process.num_threads(),
            tasks=self._tasks(process.pid),
            sockets=sockets,
        )

    def _tasks(self, pid: int) -> float:
        try:
            return float((self._counts / str(pid)).read_text()) if self._counts else np.nan
        except OSError:
            return np.nan

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def counting(folder: Path) -> dict[str, str]:
    """What to add to a worker's environment so that it counts its tasks into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"PYTHONPATH": str(INSIDE), "TIDEGATE_FAULTS_COUNTS": str(folder)}


def column(samples: Iterable[Sample], name: str) -> Floats:
    """One figure of many samples, float64; a server's name for its sockets."""
    return np.array([getattr(one, name) if name in FIGURES else one.sockets[name] for one in samples], dtype=np.float64)


def growth(samples: list[Sample], name: str, warm_up_share: float = 0.2) -> float:
    """By how much a figure grew from after the warm-up to the end, on the line fitted through it (least squares).

    >>> flat = [Sample(float(t), 100.0, 9, 9, 9.0, {}) for t in range(100)]
    >>> abs(growth(flat, "rss_mib")) < 1e-9
    True
    """
    rest = samples[int(len(samples) * warm_up_share) :]
    at, values = np.array([one.at for one in rest]), column(rest, name)
    known = ~np.isnan(values)
    if known.sum() < 3:
        return 0.0
    slope = np.polyfit(at[known], values[known], 1)[0]
    return float(slope * (at[known][-1] - at[known][0]))
