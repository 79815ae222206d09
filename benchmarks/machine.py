"""The machine and the versions a figure was measured on: without them it means nothing."""

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import psutil

_PACKAGES = ("confluent-kafka", "faust-streaming", "lightgbm", "numba", "redis", "msgspec", "pyarrow")


def describe(redis_version: str) -> str:
    """One line for people."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()} "
        f"{platform.release().split('-')[0]}; broker, Redis and worker share them; Python {platform.python_version()}, "
        f"Valkey {redis_version}, {versions}"
    )


def load() -> float:
    """Runnable processes over the last minute: what else was going on."""
    return os.getloadavg()[0]


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()
