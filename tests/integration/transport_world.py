"""What the transport's tests hold in hand: worker processes, their logs, records to read, the group's commits."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

WORKER = Path(__file__).with_name("transport_worker.py")
REPOSITORY = Path(__file__).parents[2]
BOUND_SECONDS = 40.0
TOLD_LINES = 40  # of each file, when a test failed


def until(condition: Callable[[], Any], what: str, seconds: float = BOUND_SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return result


class World:
    """One consumer group and its workers."""

    def __init__(self, kafka: str, app: str, directory: Path) -> None:
        self.kafka = kafka
        self.app = app
        self.directory = directory
        self.log = directory / "log.jsonl"
        self.log.touch()
        self.gate = directory / "gate"
        self.workers: list[subprocess.Popen[bytes]] = []

    def fill(self, topic: str, partition: int, timestamps_ms: Sequence[int]) -> None:
        """Records 0.. of a partition, with these timestamps."""
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 50})
        for number, at in enumerate(timestamps_ms):
            producer.produce(topic, str(number).encode(), b"key", partition=partition, timestamp=at)
        assert producer.flush(30) == 0

    def start(self, topics: Sequence[str], **plan: Any) -> subprocess.Popen[bytes]:
        plan = {"log": str(self.log), "app": self.app, "bootstrap": self.kafka, "topics": list(topics), **plan}
        command = [sys.executable, str(WORKER), json.dumps(plan)]
        with self._stderr(len(self.workers)).open("wb") as stderr:
            self.workers.append(subprocess.Popen(command, stderr=stderr, cwd=self.directory, env=environment()))
        return self.workers[-1]

    def _stderr(self, number: int) -> Path:
        """Where the worker of this number, in the order of their starts, complains."""
        return self.directory / f"worker-{number}.stderr"

    def events(self, kind: str | None = None, pid: int | None = None) -> list[dict[str, Any]]:
        lines = self.log.read_text().split("\n")[:-1]
        events = [json.loads(line) for line in lines]
        return [e for e in events if kind in (None, e["event"]) and pid in (None, e["pid"])]

    def handled(self, kind: str = "end") -> dict[tuple[str, int], list[int]]:
        """Offsets per partition in the order of handling."""
        offsets: dict[tuple[str, int], list[int]] = {}
        for event in self.events(kind):
            offsets.setdefault((event["topic"], event["partition"]), []).extend(event["offsets"])
        return offsets

    def count(self, kind: str = "end") -> int:
        return sum(len(set(offsets)) for offsets in self.handled(kind).values())

    def committed(self, topic: str, partitions: int) -> list[int]:
        consumer = self._consumer()
        try:
            known = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=20)
            return [max(0, position.offset) for position in known]
        finally:
            consumer.close()

    def commit(self, topic: str, partition: int, offset: int) -> None:
        consumer = self._consumer()
        consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
        consumer.close()

    def _consumer(self) -> Consumer:
        return Consumer({"bootstrap.servers": self.kafka, "group.id": self.app, "enable.auto.commit": False})

    def end(self, worker: subprocess.Popen[bytes], seconds: float = BOUND_SECONDS) -> tuple[int, str]:
        """Exit code and what stood on stderr."""
        return worker.wait(seconds), self._stderr(self.workers.index(worker)).read_text()

    def told(self) -> str:
        """For people, when a test failed: the last of what the workers logged, and of what each said on stderr."""
        files = {"log.jsonl": self.log}
        for number, worker in enumerate(self.workers):
            ended = "runs" if worker.poll() is None else f"exit code {worker.returncode}"
            files[f"stderr of {worker.pid}, {ended}"] = self._stderr(number)
        return "\n".join(f"-- {title}\n{tail(path)}" for title, path in files.items())

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait(10)


def tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-TOLD_LINES:])


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def world(kafka: str, app: str, directory: Path) -> Iterator[World]:
    made = World(kafka, app, directory)
    try:
        yield made
    finally:
        made.close()
