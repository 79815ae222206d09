"""How much memory this process' control groups allow it: a container's limit, or systemd's MemoryMax.

Limits are inherited, so every group from the process' own up to the root counts. Version 2 of the kernel's interface and
version 1 are read, both where a machine has both; in a container the own group may be mounted as the root.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Version 1 has no word for "no limit": it says the most whole pages that 63 bits count. No machine has an exbibyte.
UNLIMITED_BYTES = 1 << 60


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """One group's limit and what its processes use of it, page cache included."""

    limit_bytes: int
    used_bytes: int


def memory_limits(of: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[MemoryLimit]:
    """The limit of each group that has one; none where nothing limits this process, or the kernel has no control groups."""
    try:
        lines = of.read_text().splitlines()
    except OSError:
        return []
    return [found for line in lines for found in _of_line(line, root)]


def _of_line(line: str, root: Path) -> Iterator[MemoryLimit]:
    """Of a line `hierarchy:controllers:path`; version 2 has hierarchy 0 and names no controllers."""
    hierarchy, controllers, path = line.split(":", 2)
    if hierarchy == "0":
        yield from _upwards(root, path, "memory.max", "memory.current")
    elif "memory" in controllers.split(","):
        yield from _upwards(root / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes")


def _upwards(mount: Path, path: str, limit: str, used: str) -> Iterator[MemoryLimit]:
    inside = PurePosixPath(path.lstrip("/"))
    for folder in dict.fromkeys(mount / each for each in (inside, *inside.parents)):
        try:
            found = MemoryLimit(int((folder / limit).read_text()), int((folder / used).read_text()))
        except (OSError, ValueError):  # no such group here, no such controller, or the word "max"
            continue
        if found.limit_bytes < UNLIMITED_BYTES:
            yield found
