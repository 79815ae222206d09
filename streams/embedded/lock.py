"""Writes kafka.lock anew, for whoever raises Kafka's version: `python -m streams.embedded.lock 4.1.2`.

Resolves the runtime dependencies, downloads every jar and prints hash, size and coordinates; read the difference
before committing it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from streams.embedded.jars import LOCK, maven_context, sha256_of

KAFKA = "org.apache.kafka:kafka_2.13"
# Kafka's own pom brings the logging API without a backend; this one writes to stderr, which is the log file.
LOGGING = "org.slf4j:slf4j-simple:1.7.36"
HEADER = f"# {KAFKA} and its runtime dependencies: SHA-256, bytes, group:artifact:version. Written by lock.py.\n"


def main() -> None:
    version = sys.argv[1]
    with tempfile.TemporaryDirectory() as scratch:
        maven = maven_context(Path(scratch))
        wanted = [maven.create_dependency(name) for name in (f"{KAFKA}:{version}", LOGGING)]
        inputs, others = maven.resolver.resolve(wanted)
        runtime = [each for each in others if each.scope in ("compile", "runtime")]
        lines = [_line(each.artifact) for each in [*inputs, *runtime]]
    LOCK.write_text(HEADER + "".join(lines))


def _line(artifact: Any) -> str:
    path: Path = artifact.resolve()
    coordinates = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
    return f"{sha256_of(path)} {path.stat().st_size} {coordinates}\n"


if __name__ == "__main__":
    main()
