"""The faults that are drilled: each put into the running world and taken out again, with the alert that must come of it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.accept.alerts_world import World

FAILING, MALFORMED, FACTOR = 0.01, 0.4, 1.3


@dataclass(frozen=True, slots=True)
class Fault:
    """`alert` fires with `severity` at most `rule_seconds` x the time scale + `own_seconds` after the fault was put in.

    rule_seconds: the windows and waits of the alert's rule that must pass, at full length. own_seconds: what the fault and what
    observes it take by themselves, which no scale shortens; twice of what a quiet machine shows.
    """

    name: str
    alert: str
    severity: str
    rule_seconds: float
    own_seconds: float
    inject: Callable[[World], AbstractContextManager[None]]

    def within(self, time_scale: float) -> float:
        return self.rule_seconds * time_scale + self.own_seconds


@contextmanager
def _changed(held: Any, name: str, value: float) -> Iterator[None]:
    """What something is while the fault is in."""
    before = getattr(held, name)
    setattr(held, name, value)
    try:
        yield
    finally:
        setattr(held, name, before)


@contextmanager
def workers_killed(world: World) -> Iterator[None]:
    """kill -9 of all."""
    for worker in world.workers:
        worker.kill()
    try:
        yield
    finally:
        for worker in world.workers:
            worker.start()
        world.wait_until_ready(*world.workers)


@contextmanager
def events_failing(world: World) -> Iterator[None]:
    """Orders that the model must not score, and that are failed for it."""
    with _changed(world.traffic.market, "unknown", FAILING):
        yield


@contextmanager
def records_malformed(world: World) -> Iterator[None]:
    with _changed(world.traffic, "malformed", MALFORMED):
        yield


@contextmanager
def feed_frozen(world: World) -> Iterator[None]:
    """Its producer stops; orders go on."""
    with _changed(world.traffic, "quotes", 0):
        yield


@contextmanager
def no_traffic(world: World) -> Iterator[None]:
    """Orders stop; the feed goes on."""
    with _changed(world.traffic, "orders", 0):
        yield


@contextmanager
def redis_down(world: World) -> Iterator[None]:
    """Stopped, and started with its data where clients left it."""
    redis = world.stack.redis
    assert redis is not None
    redis.stop()
    try:
        yield
    finally:
        redis.start()


@contextmanager
def version_wrong(world: World) -> Iterator[None]:
    """Another version is deployed, and one of two workers restarted."""
    world.versions.deploy(2)
    first, *others = world.workers
    first.restart()
    try:
        yield
    finally:
        for other in others:
            world.wait_until_ready(first)
            other.restart()
        world.wait_until_ready(*world.workers)


@contextmanager
def feature_shifted(world: World) -> Iterator[None]:
    """Amounts 1.5 standard deviations higher; decisions stay within their band."""
    with _changed(world.traffic.market, "factor", FACTOR):
        yield


FAULTS = (
    Fault("1 % failures", "TidegateScoringBurn", "page", 0.2 * 3600 + 60, 10, events_failing),
    Fault("40 % rejects", "TidegateRejects", "page", 300 + 60, 10, records_malformed),
    Fault("frozen feed", "TidegateFeedFrozen", "page", 60, 55, feed_frozen),
    Fault("feature shift", "TidegateDriftWithPredictions", "page", 0, 30, feature_shifted),
    Fault("Redis down", "TidegateStoreUnavailable", "page", 60, 15, redis_down),
    Fault("wrong version on one worker", "TidegateModelVersionWrong", "page", 120, 15, version_wrong),
    Fault("workers killed", "TidegateWorkerAbsent", "page", 120, 10, workers_killed),
    Fault("no traffic", "TidegateVolumeLow", "page", 0.8 * 300 + 600, 10, no_traffic),
)
