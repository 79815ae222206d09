"""Sends a story's records to Kafka: what fills the windows at full speed, then the rest at the speed chosen.

Pacing is by the clock, not by sleeps: every tick sends what is due by now, so that a late tick is made up for by the next.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from confluent_kafka import KafkaException, Producer

from streams.demo.errors import DemoError
from streams.demo.source import Sendable

TICK_SECONDS = 0.02  # 8 events at 400 a second
FLUSH_SECONDS = 30.0


class Replay:
    """Sends records; `heard` is told of each one that counts, in order, before it is sent.

    ``sent`` counts since `start`, records broken on purpose included and withheld ones not: their place in the pace stays empty.
    ``event_time`` is the latest event's; ``acknowledged`` when Kafka last took a record. Times are seconds since the epoch.
    """

    def __init__(
        self, bootstrap_servers: str, records: Iterator[Sendable], speed: float, heard: Callable[[Sendable], None]
    ) -> None:
        self.sent = 0
        self.broken_sent = 0
        self.event_time = 0.0
        self.acknowledged = 0.0
        self.started = 0.0  # time.time() of the first event that counts
        self.ended = 0.0
        self.failure: str | None = None
        self._records, self._speed, self._heard = records, speed, heard
        self._stop = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def warm_up(self, records: Iterable[Sendable]) -> None:
        """Sends all of them now and returns when Kafka has them."""
        for record in records:
            self._send(record)
        self._flush()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Sends no more; returns when Kafka has what was sent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * FLUSH_SECONDS)

    def _run(self) -> None:
        try:
            self._paced()
            self._flush()
        except (KafkaException, DemoError) as error:
            self.failure = str(error)

    def _paced(self) -> None:
        begun, self.started, passed = time.monotonic(), time.time(), 0
        while not self._stop.is_set():
            due = int((time.monotonic() - begun) * self._speed) + 1
            batch = list(itertools.islice(self._records, due - passed))
            if not batch and due > passed:
                break  # the story is over
            passed += len(batch)
            for record in batch:
                self._take(record)
            self._producer.poll(0)
            self.ended = time.time()
            self._stop.wait(TICK_SECONDS)

    def _take(self, record: Sendable) -> None:
        self.event_time = record.time
        if not record.withheld:
            self._heard(record)
            self._send(record)
            self.sent += 1
            self.broken_sent += record.broken

    def _send(self, record: Sendable) -> None:
        while True:
            try:
                self._producer.produce(record.topic, key=record.key, value=record.value, on_delivery=self._delivered)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _flush(self) -> None:
        if self._producer.flush(FLUSH_SECONDS):
            raise DemoError(f"Kafka did not take the replay's records within {FLUSH_SECONDS:.0f} s; run: tidegate doctor")
        if self.failure:
            raise DemoError(self.failure)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self.failure = f"Kafka refused a record of the replay: {error}"
        else:
            self.acknowledged = time.time()
