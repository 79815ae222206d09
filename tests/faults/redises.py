"""Faults of Redis: away, frozen, full, read-only, without its scripts, and back with less than it had acknowledged."""

import shutil
import time
from pathlib import Path
from typing import Any

import redis

from streams.embedded.ports import free_ports
from streams.embedded.valkey import EmbeddedRedis
from tests.faults.campaign import campaign
from tests.faults.registry import Run, fault
from tests.faults.world import Mark, World

RUNS = 20
PAUSE_SECONDS = 20.0
AWAY_SECONDS = 0.0, 3.0
REFUSING_SECONDS = 2.0, 5.0
FLUSHING_SECONDS, FLUSHES = 4.0, 40
AGED_SECONDS = 0.5, 5.0  # how much older the copy is
APPENDED = "appendonlydir"


def server(world: World) -> EmbeddedRedis:
    assert world.stack.redis is not None
    return world.stack.redis


def command(world: World, *words: Any) -> Any:
    with redis.Redis.from_url(world.stack.redis_url) as client:
        return client.execute_command(*words)


@fault("redis_restart", runs=RUNS, summary="Redis is stopped or killed and comes back with its data")
def restart(run: Run) -> None:
    def inject(world: World) -> Mark:
        server(world).kill() if run.dice.random() < 0.5 else server(world).stop()
        time.sleep(run.dice.uniform(*AWAY_SECONDS))
        server(world).start()
        return world.mark()

    campaign(run, inject, appendonly=True)


@fault("redis_lost", runs=RUNS, summary="Redis comes back without any data; everything is merged again from Kafka")
def lost(run: Run) -> None:
    def inject(world: World) -> Mark:
        server(world).kill()
        time.sleep(run.dice.uniform(*AWAY_SECONDS))
        server(world).restart(wipe=True)
        return world.mark()

    campaign(run, inject, data_lost=True, fresh_every=5)


@fault("redis_older", runs=RUNS, summary="Redis comes back with a copy of its data some seconds old")
def older(run: Run) -> None:
    def inject(world: World) -> Mark:
        keep_appending(world)
        appended = server(world).directory / APPENDED
        copy = copied(appended, world.folder / "older")
        time.sleep(run.dice.uniform(*AGED_SECONDS))
        server(world).kill()
        shutil.rmtree(appended)
        shutil.copytree(copy, appended)
        server(world).start()
        mark = world.mark()
        keep_appending(world)
        return mark

    campaign(run, inject, data_lost=True, appendonly=True)


def keep_appending(world: World) -> None:
    """The file must only grow while it is copied, so the server may not write it anew."""
    command(world, "CONFIG", "SET", "auto-aof-rewrite-percentage", "0")


def copied(source: Path, target: Path) -> Path:
    """An append-only file's beginning is what the server held some time before; a command cut short at its end is dropped."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


@fault("redis_paused", runs=RUNS, summary=f"Redis answers nothing for {PAUSE_SECONDS:.0f} s, its connections open (SIGSTOP)")
def paused(run: Run) -> None:
    def inject(world: World) -> Mark:
        server(world).pause()
        time.sleep(PAUSE_SECONDS)
        server(world).resume()
        return world.mark()

    campaign(run, inject)


@fault("redis_full", runs=RUNS, summary="Redis is out of memory for some seconds")
def full(run: Run) -> None:
    def inject(world: World) -> Mark:
        command(world, "CONFIG", "SET", "maxmemory", "1mb")
        time.sleep(run.dice.uniform(*REFUSING_SECONDS))
        command(world, "CONFIG", "SET", "maxmemory", "0")
        return world.mark()

    campaign(run, inject)


@fault("redis_readonly", runs=RUNS, summary="Redis refuses writes for some seconds, as a demoted primary does (READONLY)")
def readonly(run: Run) -> None:
    """A replica of nobody: it keeps its data, since no primary ever answers, and serves reads."""

    def inject(world: World) -> Mark:
        (dead,) = free_ports(1)
        command(world, "REPLICAOF", "127.0.0.1", dead)
        time.sleep(run.dice.uniform(*REFUSING_SECONDS))
        command(world, "REPLICAOF", "NO", "ONE")
        return world.mark()

    campaign(run, inject)


@fault("redis_scripts", runs=RUNS, summary="Redis' scripts are flushed at random instants, again and again")
def scripts(run: Run) -> None:
    def inject(world: World) -> Mark:
        for _ in range(FLUSHES):
            command(world, "SCRIPT", "FLUSH")
            time.sleep(run.dice.expovariate(FLUSHES / FLUSHING_SECONDS))
        return world.mark()

    campaign(run, inject)


@fault(
    "redis_failover",
    runs=RUNS,
    summary="in a Redis Cluster a replica that lacks acknowledged writes takes over from a killed primary",
)
def failover(run: Run) -> None:
    def inject(world: World) -> Mark:
        cluster = world.stack.cluster
        assert cluster is not None
        primary = run.dice.choice([node for node in cluster.primaries if node.url != world.settings.redis])
        with cluster.cut_off(primary):
            time.sleep(run.dice.uniform(*AGED_SECONDS))
            lost = cluster.behind_bytes(primary)
            cluster.take_over(primary)
        mark = world.mark()
        if not lost:
            run.violation("the replica that took over lacked nothing, so this run shows nothing")
        run.note_more("acknowledged_bytes_lost", lost)
        primary.start()
        cluster.wait_until_whole()
        return mark

    campaign(run, inject, data_lost=True, cluster=True)
