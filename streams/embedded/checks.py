"""What `tidegate doctor` looks at, one small function a check; each says what it found and what mends it.

A check never raises: what is broken is its answer. Only what keeps Tidegate from working right is a `fail`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Literal

from monitors.cgroup import memory_limits
from streams.embedded.errors import EmbeddedError, MissingPart
from streams.embedded.jars import JarCache, cache_directory, read_lock
from streams.embedded.java import find_java
from streams.embedded.valkey import find_redis

Status = Literal["ok", "warn", "fail"]

OLDEST_PYTHON = (3, 11)
GIB = 1 << 30
ENOUGH_CORES = 2  # the worker and the broker or Redis beside it
ENOUGH_MEMORY = 2 * GIB  # a worker of about 0.5, Kafka 0.4-0.7, Redis and room for page cache
ENOUGH_DISK = 2 * GIB  # the jars, and a Kafka segment (1 GiB) before it rolls
CLOCK_NOT_SYNCHRONISED = 5  # adjtimex(2): TIME_ERROR
TIMEX_BYTES = 512  # struct timex has 208 on 64-bit Linux
IMPORTED = ("faust", "numba", "numpy", "pyarrow")  # the largest that every worker imports as it starts


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's table."""

    name: str
    status: Status
    found: str
    remedy: str = ""


def host_checks(environ: Mapping[str, str], *, external_kafka: bool, external_redis: bool) -> Iterator[Check]:
    """The machine's own checks. What an external server replaces is at most a warning."""
    yield python_version()
    yield bytecode()
    yield libgomp()
    yield _softened(java(environ), external_kafka)
    yield _softened(kafka_jars(environ), external_kafka)
    yield _softened(redis_server(environ), external_redis)
    yield clock()
    yield cores()
    yield memory()
    yield disk(environ)


def python_version(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    found = f"{version[0]}.{version[1]}"
    if version >= OLDEST_PYTHON:
        return Check("Python", "ok", found)
    return Check("Python", "fail", found, "install Python 3.11 or newer and make a new virtual environment")


def bytecode(packages: Sequence[str] = IMPORTED, writes: bool | None = None) -> Check:
    """Without it Python compiles 1,300 modules at every start of a worker: 4 s of CPU more.

    pip compiles what it installs, uv leaves that to the first start, which may not write: for PYTHONDONTWRITEBYTECODE, or for
    lack of rights.
    """
    writes = not sys.dont_write_bytecode if writes is None else writes
    places = [Path(spec.origin) for spec in map(PathFinder.find_spec, packages) if spec is not None and spec.origin]
    lacking = [place.parent for place in places if not Path(importlib.util.cache_from_source(str(place))).is_file()]
    if not lacking:
        return Check("Bytecode", "ok", "kept")
    if writes and all(os.access(folder, os.W_OK) for folder in lacking):
        return Check("Bytecode", "ok", "kept from the first start on")
    names, folders = ", ".join(folder.name for folder in lacking), " ".join(sorted({str(folder.parent) for folder in lacking}))
    return Check("Bytecode", "warn", f"none of {names}; starts are slow", f"{sys.executable} -m compileall -q {folders}")


def libgomp(load: Callable[[str], object] = ctypes.CDLL) -> Check:
    """LightGBM's wheel links against the system's OpenMP, which slim images lack."""
    try:
        load("libgomp.so.1")
    except OSError:
        return Check("libgomp1", "fail", "not found; LightGBM cannot be imported", "apt-get install libgomp1")
    return Check("libgomp1", "ok", "found")


def java(environ: Mapping[str, str]) -> Check:
    try:
        found = find_java(environ)
    except MissingPart as error:
        return Check("Java", "fail", "none that is new enough", str(error))
    return Check("Java", "ok", f"{found.version} ({found.path})")


def kafka_jars(environ: Mapping[str, str], reachable: Callable[[], str] | None = None) -> Check:
    """In the cache, or within reach of a download (`reachable` returns what is wrong, or nothing)."""
    cache = JarCache(cache_directory(environ))
    if not cache.missing():
        try:
            cache.fetch()
        except EmbeddedError as error:
            return Check("Kafka's jars", "fail", "damaged", str(error))
        return Check("Kafka's jars", "ok", f"{len(cache.jars)} in {cache.directory}")
    if wrong := (reachable or _repository_trouble)():
        return Check("Kafka's jars", "fail", "not in the cache", wrong)
    return Check("Kafka's jars", "ok", "not in the cache yet; the repository answers")


def _repository_trouble() -> str:
    """Asks the Maven repository for the smallest locked jar; nothing is kept."""
    smallest = min(read_lock(), key=lambda jar: jar.size_bytes)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            JarCache(Path(scratch), [smallest]).fetch()
    except EmbeddedError as error:
        return str(error)
    return ""


def redis_server(environ: Mapping[str, str]) -> Check:
    try:
        return Check("Valkey or Redis", "ok", str(find_redis(environ)))
    except MissingPart as error:
        return Check("Valkey or Redis", "fail", "no server to start", str(error))


def clock(state: Callable[[], int] | None = None) -> Check:
    """Whether something keeps the clock right; windows and lateness compare event time with it."""
    synchronised = (state or _clock_state)() != CLOCK_NOT_SYNCHRONISED
    if synchronised:
        return Check("Clock", "ok", "synchronised, or the kernel does not tell")
    return Check("Clock", "warn", "not synchronised", "run chrony or systemd-timesyncd on this machine")


def _clock_state() -> int:
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    except (OSError, AttributeError):
        return -1


def cores(count: int | None = None) -> Check:
    count = len(os.sched_getaffinity(0)) if count is None else count
    if count >= ENOUGH_CORES:
        return Check("Cores", "ok", str(count))
    return Check("Cores", "warn", str(count), f"give it {ENOUGH_CORES}: broker, Redis and worker share this one")


def memory(available_bytes: int | None = None) -> Check:
    available = _available_memory() if available_bytes is None else available_bytes
    found = f"{available / GIB:.1f} GiB available"
    if available >= ENOUGH_MEMORY:
        return Check("Memory", "ok", found)
    return Check("Memory", "warn", found, f"free some: the whole stack wants {ENOUGH_MEMORY // GIB} GiB")


def _available_memory() -> int:
    """What the kernel says is available, or less where a container's limit is lower."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return min([available, *(one.limit_bytes - one.used_bytes for one in memory_limits())])


def disk(environ: Mapping[str, str]) -> Check:
    """Room where embedded servers keep their data and where the jars go."""
    places = (Path(tempfile.gettempdir()), _existing(cache_directory(environ)))
    place, free = min(((place, shutil.disk_usage(place).free) for place in places), key=lambda pair: pair[1])
    found = f"{free / GIB:.1f} GiB free at {place}"
    if free >= ENOUGH_DISK:
        return Check("Disk", "ok", found)
    return Check("Disk", "warn", found, "free some, or set TMPDIR and XDG_CACHE_HOME to a roomier place")


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _softened(check: Check, replaced: bool) -> Check:
    if check.status == "fail" and replaced:
        return Check(check.name, "warn", f"{check.found}; not needed while an external one is set", check.remedy)
    return check
