"""CPU of a process by thread: its main thread, librdkafka's, and Python's others. Linux only, by /proc."""

import os
from collections import defaultdict
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MAIN, LIBRDKAFKA, OTHERS = "main thread", "librdkafka's threads", "other threads"


def by_thread(pid: int) -> dict[str, float]:
    """Seconds of CPU so far, of the threads that live."""
    found: dict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, fields = parse((task / "stat").read_text())
        kind = MAIN if int(task.name) == pid else LIBRDKAFKA if name.startswith("rdk:") else OTHERS
        found[kind] += fields
    return found


def parse(stat: str) -> tuple[str, float]:
    """A thread's name, which may hold anything, and its seconds of CPU (user and system).

    >>> parse(f"7 (rdk:broker (1)) S {' '.join('0' * 10)} {TICKS} {2 * TICKS} 0 0")
    ('rdk:broker (1)', 3.0)
    """
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    return name, (int(fields[11]) + int(fields[12])) / TICKS
