"""A formatted, empty Kafka log directory, kept in the user's cache: copying it spares each start a JVM.

Kafka's own tool made it (1.5 s on an idle machine, a third of a start); two small files that depend on the
jars and the cluster's name alone, which the key stands for.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from pathlib import Path

from streams.embedded.jars import LOCK


class FormatTemplate:
    """The cached directory for one lock and one cluster id."""

    def __init__(self, cache: Path, cluster_id: str) -> None:
        key = hashlib.sha256(LOCK.read_bytes() + cluster_id.encode()).hexdigest()[:16]
        self.directory = cache / "formatted" / key

    def copy_to(self, target: Path) -> bool:
        """Whether there is one; it is then copied."""
        if not self.directory.exists():
            return False
        shutil.copytree(self.directory, target, dirs_exist_ok=True)
        return True

    def keep(self, source: Path) -> None:
        """Keeps a copy of a directory that was just formatted, unless somebody was quicker. By a rename: whole or not."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.directory.parent, prefix=".new-") as scratch:
            shutil.copytree(source, Path(scratch) / "data")
            with contextlib.suppress(OSError):
                (Path(scratch) / "data").rename(self.directory)
