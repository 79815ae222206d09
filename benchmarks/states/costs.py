"""What reading and merging a state costs, by the number of entities there and by windows: in turn, round by round."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.part import Options
from benchmarks.report import Spread
from benchmarks.states.footprint import Server
from benchmarks.states.users import Costs, Users, by_user, drawn, memory
from examples.payments.pipeline import WINDOWS
from streams.cli.progress import steps
from streams.embedded import EmbeddedRedis

SIZES = (10_000, 100_000, 1_000_000)
ALL_WINDOWS = (*WINDOWS, "7d", "15m", "6h", "30m", "3d")  # the first three are those of examples/payments
WINDOW_COUNTS = (1, 2, 3, 4, 6, 8)
USERS_BY_WINDOWS = 20_000
CHUNKS = 5  # a round
ROUNDS = 5  # times the command line's, because they are short

Rounds = dict[int, list[Costs]]  # by the number of entities, or of windows
FIGURES = tuple((work, figure) for work in ("merge", "read") for figure in ("redis_cpu_us", "wall_us"))


@dataclass(frozen=True, slots=True)
class Sized:
    """Costs, and bytes of Redis memory an entity, by how many there are."""

    rounds: Rounds
    bytes_each: dict[int, float]
    server: Server


def by_entities(options: Options, sizes: Sequence[int] = SIZES) -> Sized:
    """Each number of entities in a server of its own; all run at the same time."""
    return asyncio.run(_by_entities(options, sizes))


async def _by_entities(options: Options, sizes: Sequence[int]) -> Sized:
    async with AsyncExitStack() as stack:
        urls = {size: stack.enter_context(EmbeddedRedis()).url for size in sizes}
        empty = {size: memory(url) for size, url in urls.items()}
        users = {size: await stack.enter_async_context(Users(by_user(), url)) for size, url in urls.items()}
        with steps(options.console) as show:
            for size in sizes:
                await users[size].fill(size, partial(show, f"fill with {size:,} entities"))
        each = {size: (memory(urls[size]) - empty[size]) / size for size in sizes}
        rounds = await _in_turn(options, users, {size: size for size in sizes}, "entities")
        return Sized(rounds, each, Server.of(urls[sizes[0]]))


def by_windows(options: Options, counts: Sequence[int] = WINDOW_COUNTS) -> Rounds:
    """One server for all numbers of windows, each with as many entities."""
    return asyncio.run(_by_windows(options, counts))


async def _by_windows(options: Options, counts: Sequence[int]) -> Rounds:
    async with AsyncExitStack() as stack:
        url = stack.enter_context(EmbeddedRedis()).url
        users = {n: await stack.enter_async_context(Users(by_user(ALL_WINDOWS[:n]), url)) for n in counts}
        with steps(options.console) as show:
            for n, one in users.items():
                await one.fill(USERS_BY_WINDOWS, partial(show, f"fill with {n} windows"))
        return await _in_turn(options, users, dict.fromkeys(users, USERS_BY_WINDOWS), "windows")


async def _in_turn(options: Options, users: Mapping[int, Users], entities: Mapping[int, int], what: str) -> Rounds:
    """Costs of chunks drawn from so many entities. Who begins changes from round to round; the first round warms up."""
    random, rounds = np.random.default_rng(1), options.rounds * ROUNDS
    found: Rounds = {key: [] for key in users}
    keys = list(users)
    with steps(options.console) as show:
        for number in range(rounds + 1):
            show(f"measure by {what}", number, rounds + 1)
            first = number % len(keys)
            for key in keys[first:] + keys[:first]:
                costs = await users[key].measure(drawn(random, entities[key], CHUNKS))
                if number:
                    found[key].append(costs)
        show(f"measure by {what}", rounds + 1, rounds + 1)
    return found


def spread(rounds: Sequence[Costs], work: str, figure: str) -> Spread:
    """Of one of FIGURES."""
    return Spread.of([getattr(getattr(one, work), figure) for one in rounds])


def growth(rounds: Rounds, figure: str) -> Spread:
    """A merge among the most entities by one among the fewest, round by round: neighbours in time meet the same machine."""
    pairs = zip(rounds[max(rounds)], rounds[min(rounds)], strict=True)
    return Spread.of([getattr(most.merge, figure) / getattr(fewest.merge, figure) for most, fewest in pairs])
