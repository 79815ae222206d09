"""Memory that an entity takes in each kind of server, once all tiles of its windows are in use."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis
from rich.console import Console

from benchmarks.drain import Show
from benchmarks.states.users import Users, memory
from featurestore.plan import FeaturePlan
from streams.cli.progress import steps
from streams.embedded import EmbeddedRedis


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis or Valkey: its name with the major version ("Valkey 9"), its version, and the allocator it was built with."""

    name: str
    version: str
    allocator: str

    @classmethod
    def of(cls, url: str) -> "Server":
        with redis.Redis.from_url(url) as client:
            found = client.info()
        kind, version = ("Valkey", found["valkey_version"]) if "valkey_version" in found else ("Redis", found["redis_version"])
        return cls(f"{kind} {str(version).split('.')[0]}", str(version), str(found["mem_allocator"]))


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of a server's memory an entity, its key and expiry included, and of these its state's value."""

    server: Server
    layout: str
    value_bytes: int
    memory_bytes: float

    @property
    def kib(self) -> float:
        return self.memory_bytes / 1024


def kept(plans: Mapping[str, FeaturePlan], entities: int, console: Console) -> list[Kept]:
    """The memory an entity by layout's name, in the server that a stack starts and in `redis-server`, where it is installed."""
    debian = shutil.which("redis-server")
    found: list[Kept] = []
    with steps(console) as show:
        for binary in (None, Path(debian)) if debian else (None,):
            for layout, plan in plans.items():
                with EmbeddedRedis(binary=binary) as running:
                    server = Server.of(running.url)
                    if binary is not None and server.name in {one.server.name for one in found if one.layout == layout}:
                        continue  # the stack's server is this one
                    before = memory(running.url)
                    asyncio.run(_age(plan, running.url, entities, partial(show, f"age {layout} in {server.name}")))
                    taken = (memory(running.url) - before) / entities
                found.append(Kept(server, layout, plan.groups[0].length * 8, taken))
    return found


async def _age(plan: FeaturePlan, url: str, entities: int, show: Show) -> None:
    async with Users(plan, url) as users:
        await users.age(entities, show)
