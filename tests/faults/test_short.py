"""A few seeded faults of workers, of Redis and of the group: the shortened set of `make faults`, for every `make test`."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults import processes, redises
from tests.faults.model import train_champion
from tests.faults.registry import Run
from tests.faults.world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SEED = 4
SESSION_SECONDS = 3.0  # half of that of full runs: the rest of the time is the same
KILLS = (("after_read", "between_shards"), ("after_publish", None), ("after_merge", "after_commit"))


class Guest(Run):
    """A run in a world that others use too."""

    host: World

    @contextlib.contextmanager
    def world(self, **options: Any) -> Iterator[World]:
        yield self.host


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    champion = train_champion(folder / "model")
    options = {"session_timeout_seconds": SESSION_SECONDS}
    with World(champion, folder / "world", workers=3, seed=SEED, appendonly=True, worker=options) as world:
        yield world


def guest(world: World, fault: str, runs: int) -> Guest:
    run = Guest(fault, runs, SEED, world._champion, world.folder)
    run.host = world
    return run


def test_kills_at_a_random_instant_and_at_each_named_point(world: World) -> None:
    """Two workers of three at a time, each at its own point."""
    run = guest(world, "kill", len(KILLS))
    for number in processes.injections(run, world):
        for worker, point in zip(run.dice.sample(world.workers, 2), KILLS[number], strict=True):
            processes.die_at(run, worker, point)
        processes.come_back(run, world, at_once=True)
    assert run.violations == []
    assert len(run.recoveries) == len(KILLS)


def test_a_redis_that_comes_back_with_an_older_copy(world: World) -> None:
    run = guest(world, "redis_older", 1)
    redises.older(run)
    assert run.violations == []
    assert len(run.recoveries) == 1


def test_a_worker_that_joins(world: World) -> None:
    run = guest(world, "rebalance", 1)
    processes.rebalance(run)
    assert run.violations == []
    assert len(world.workers) == 4
