"""Traffic whose lag is known: records with the append times that the broker acknowledged, commits at known offsets and times."""

import random
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.chunk import TP
from streams.topics import QUIET

FLUSH_SECONDS = 30.0


@dataclass(slots=True)
class Position:
    """One group in one partition: its commits as (begun, done, offset). In between it may already count, or not."""

    commits: list[tuple[float, float, int]] = field(default_factory=list)

    def offsets(self, begin: float, end: float) -> set[int]:
        """Where it may have been seen by who asked at some time from `begin` to `end`."""
        settled = [offset for _, done, offset in self.commits if done <= begin]
        return {*settled[-1:], *(offset for begun, done, offset in self.commits if begun <= end and done > begin)}


class Traffic:
    """Topics on one Kafka, by the broker's time, and groups that never join."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._settings = {"bootstrap.servers": bootstrap_servers, **QUIET}
        self.admin = AdminClient(self._settings)
        self._producer = Producer({**self._settings, "linger.ms": 5})
        self._consumers: dict[str, Consumer] = {}
        self.appended: dict[TP, list[float]] = {}
        self.positions: dict[tuple[str, TP], Position] = {}

    def topic(self, name: str, partitions: int) -> list[TP]:
        config = {"message.timestamp.type": "LogAppendTime"}
        self.admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(FLUSH_SECONDS)
        tps = [TP(name, partition) for partition in range(partitions)]
        self.appended |= {tp: [] for tp in tps}
        return tps

    def send(self, tp: TP, records: int) -> None:
        """Returns when the broker has them all and has said when."""
        for _ in range(records):
            self._producer.produce(tp.topic, b"x" * 100, partition=tp.partition, on_delivery=self._delivered)
        if self._producer.flush(FLUSH_SECONDS):
            raise RuntimeError("Kafka did not acknowledge the traffic")

    def _delivered(self, error: Any, message: Any) -> None:
        """In the order of offsets: one producer, idempotent or not, keeps it in a partition."""
        times = self.appended[TP(message.topic(), message.partition())]
        if error is not None or message.offset() != len(times):
            raise RuntimeError(f"a record was not appended as expected: {error or message.offset()}")
        times.append(message.timestamp()[1] / 1000)

    def commit(self, group: str, offsets: dict[TP, int]) -> None:
        if group not in self._consumers:
            self._consumers[group] = Consumer({**self._settings, "group.id": group, "enable.auto.commit": False})
        begun = time.time()
        self._consumers[group].commit(offsets=[TopicPartition(*tp, n) for tp, n in offsets.items()], asynchronous=False)
        for tp, offset in offsets.items():
            self.positions.setdefault((group, tp), Position()).commits.append((begun, time.time(), offset))

    def delete_group(self, group: str) -> None:
        self._consumers.pop(group).close()
        self.admin.delete_consumer_groups([group])[group].result(FLUSH_SECONDS)
        self.positions = {where: one for where, one in self.positions.items() if where[0] != group}

    def close(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()

    def difference(self, group: str, tp: TP, shown: float, begin: float, end: float) -> float:
        """Seconds between what was shown and the truth at the end of a look from `begin` to `end`.

        Where a commit was made during the look, before it or after it may have been seen; nothing else is excused.
        """
        return min(abs(shown - self._truth(tp, offset, end)) for offset in self.positions[group, tp].offsets(begin, end))

    def _truth(self, tp: TP, offset: int, at: float) -> float:
        times = self.appended[tp]
        return at - times[offset] if offset < bisect_right(times, at) else 0.0


Step = Callable[[Traffic, list[TP], random.Random], float]  # sends or commits something; returns the pause after it, in seconds


class Stream(threading.Thread):
    """Produces to some partitions and commits them for a group, in steps with pauses, until `stop`."""

    def __init__(self, traffic: Traffic, tps: Iterable[TP], step: Step, seed: int) -> None:
        super().__init__(daemon=True)
        self._traffic, self._tps, self._step = traffic, list(tps), step
        self._random, self._stopped = random.Random(seed), threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self._stopped.wait(self._step(self._traffic, self._tps, self._random)):
                pass
        except Exception as error:  # told by who stops us
            self.failure = error

    def stop(self) -> None:
        self._stopped.set()
        self.join(FLUSH_SECONDS)
        if self.failure is not None:
            raise self.failure


def bursts(traffic: Traffic, tps: list[TP], chance: random.Random) -> float:
    """Bursts of up to 2,000 records; one partition in three is worked on at a time, to its end or a part of the way."""
    traffic.send(chance.choice(tps), chance.randint(100, 2000))
    moved = {}
    for tp in tps[:-1]:  # the last is never worked on: its lag grows all along
        (_, _, at), end = traffic.positions["bursty", tp].commits[-1], len(traffic.appended[tp])
        if chance.random() < 1 / 3 and at < end:
            moved[tp] = end if chance.random() < 0.5 else chance.randint(at, end)
    if moved:
        traffic.commit("bursty", moved)
    return chance.uniform(0.1, 1.5)


def drops(traffic: Traffic, tps: list[TP], chance: random.Random) -> float:
    """A record now and then, committed up to 4 s later."""
    tp = chance.choice(tps)
    at, end = traffic.positions["quiet", tp].commits[-1][2], len(traffic.appended[tp])
    if at < end:
        traffic.commit("quiet", {tp: end})
    else:
        traffic.send(tp, 1)
    return chance.uniform(0.5, 4.0)
