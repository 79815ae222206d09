"""Users' states in one Redis, filled, aged and measured chunk by chunk through a Session: a partition's work without Kafka."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import redis

from benchmarks.drain import Show
from benchmarks.workload import SOURCE
from examples.payments.events import Payment
from examples.payments.generate import START
from examples.payments.pipeline import AMOUNT, WINDOWS, pipeline
from featurestore.definitions import Aggregate, Count, On
from featurestore.events import EventBatch, Floats, Ints, Source
from featurestore.layout import HEADS, Group
from featurestore.plan import FeaturePlan, compile_plan
from featurestore.redis_store import RedisStore
from featurestore.session import Session
from streams.enrolment import ttl_ms
from streams.topics import DAY_MS

CHUNK = 2_000  # states, as in a saturated worker's chunks
FILL = CHUNK  # no larger: what chunks leave behind in the heap of a server, later merges meet
OLD_USERS = 400  # users aged together: a chunk holds some thirty events of each
AGED_SAMPLE = 2_000
SOURCE_PARTITION = Source(SOURCE, 0)
# A whole day after a day's start: every window's tile begins here and lasts 25 s and more.
NOW = START + DAY_MS / 1000


def by_user(windows: Sequence[str] = WINDOWS, amount: Sequence[Aggregate] = AMOUNT["amount"]) -> FeaturePlan:
    """The pipeline of examples/payments with the user as its only entity."""
    group = On(Payment, by="user", aggregates=[Count], fields={"amount": amount}, windows=windows)
    return compile_plan(pipeline.name, Payment, [group], pipeline.shards)


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a state: CPU of the server (its own INFO), and the caller's wait, the client's own work included."""

    redis_cpu_us: float
    wall_us: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What it cost to read states and to merge into them."""

    read: Cost
    merge: Cost


@dataclass(slots=True)
class _Watch:
    """Adds up what happens in its `with` blocks, in seconds."""

    server: redis.Redis
    cpu: float = 0.0
    wall: float = 0.0
    _began: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def __enter__(self) -> None:
        self._began = (self._server_cpu(), time.perf_counter())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        cpu, began = self._began
        self.wall += time.perf_counter() - began
        self.cpu += self._server_cpu() - cpu

    def _server_cpu(self) -> float:
        found = self.server.info("cpu")
        return float(found["used_cpu_user"] + found["used_cpu_sys"])

    def cost(self, states: int) -> Cost:
        return Cost(self.cpu / states * 1e6, self.wall / states * 1e6)


class Users:
    """One group's states in the Redis of a URL. Not for two tasks at once."""

    def __init__(self, plan: FeaturePlan, url: str) -> None:
        # As a worker's store: states expire, once the windows are empty and a week of Kafka's retention has passed.
        self._store = RedisStore(url, plan.shards, ttl_ms=ttl_ms(plan, {SOURCE: 7 * DAY_MS}))
        self._session = Session(plan, self._store, SOURCE_PARTITION)
        self._group = plan.groups[0]
        self._server = redis.Redis.from_url(url)
        self._next = 0

    async def __aenter__(self) -> Self:
        await self._session.begin(None)
        self._next = self._session.predicted_to + 1
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._store.close()
        self._server.close()

    async def fill(self, users: int, show: Show) -> None:
        """One event of each."""
        for first in range(0, users, FILL):
            show(first, users)
            await self._merge(np.arange(first, min(first + FILL, users)), np.array([NOW]))
        show(users, users)

    async def age(self, users: int, show: Show) -> None:
        """Takes new users through a whole ring of every window, in three chunks each; RuntimeError if a tile stayed empty."""
        for first in range(0, users, OLD_USERS):
            show(first, users)
            for part in np.array_split(lifetime(self._group), 3):
                await self._merge(np.arange(first, min(first + OLD_USERS, users)), part)
        show(users, users)
        view = await self._session.read(self._batch(np.arange(min(users, AGED_SAMPLE)), np.array([NOW])))
        if not full(self._group, view.states[0]):
            raise RuntimeError("a tile of an aged state is empty: states were to be measured in which every one is in use")

    async def _merge(self, users: Ints, times: Floats) -> None:
        """An event of each user at each of the times, as one chunk; without reading states that nobody wants served."""
        await self._session.merge(self._session.unread(self._batch(users, times)), self._next - 1)

    async def measure(self, chunks: Sequence[Ints]) -> Costs:
        """Reads and merges chunks of distinct users."""
        read, merge = _Watch(self._server), _Watch(self._server)
        for users in chunks:
            batch = self._batch(users, np.array([NOW]))
            with read:
                view = await self._session.read(batch)
            with merge:
                await self._session.merge(view, self._next - 1)
        states = sum(map(len, chunks))
        return Costs(read.cost(states), merge.cost(states))

    def _batch(self, users: Ints, times: Floats) -> EventBatch:
        first, n = self._next, len(users) * len(times)
        self._next += n
        at = np.repeat(times, len(users))
        names = [f"user-{user:06d}" for user in users.tolist()] * len(times)
        events = [
            Payment("", time, name, "merchant-00000", "DE", 20.0, "chip", "travel", 100)
            for time, name in zip(at.tolist(), names, strict=True)
        ]
        return EventBatch(Payment, SOURCE_PARTITION, np.arange(first, first + n), at, at, [None] * n, events)


def lifetime(group: Group) -> Floats:
    """Times up to NOW, oldest first, with one at least in each tile that a group's rings keep."""
    lasting = zip(group.tile_seconds.tolist(), group.rings.tolist(), strict=True)
    return np.unique(np.concatenate([(np.floor(NOW / tile) - np.arange(ring)) * tile for tile, ring in lasting]))


def full(group: Group, states: Floats) -> bool:
    """Whether every tile of these states, float64 (states, length), has counted an event."""
    tiles = states[:, HEADS + len(group.rings) :].reshape(len(states), int(group.rings.sum()), len(group.slots))
    return bool((tiles[:, :, 0] > 0).all())


def drawn(random: np.random.Generator, users: int, chunks: int) -> list[Ints]:
    """Chunks of CHUNK distinct users each, every user as likely as any other."""
    return [random.choice(users, CHUNK, replace=False) for _ in range(chunks)]


def memory(url: str) -> int:
    """Bytes that a server has allocated."""
    with redis.Redis.from_url(url) as server:
        return int(server.info("memory")["used_memory"])
