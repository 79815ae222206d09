"""Load: payments sent on a fixed schedule, whatever becomes of them, in a process of its own.

    python -m benchmarks.load OUT BOOTSTRAP_SERVERS TOPIC '[[1000, 5], [10000, 30]]'

Phases are [events a second, seconds]. All records exist before the clock starts. Every millisecond what is due by then is handed
to the producer. OUT gets the moment at which each event was handed over, in seconds after the start: a generator that the
machine held up shows there.
"""

import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from confluent_kafka import Producer

from benchmarks.beside import Floats, told_start
from examples.payments.generate import START, Columns, Stream, records

SEED = 4  # neither training's nor the drain's
TICK_SECONDS = 0.001
LINGER_MS = 1
QUEUE_RECORDS = 1_000_000
FLUSH_SECONDS = 30.0
LATE_MS = 20.0  # p99 of how late events were handed over; above it latencies would be the generator's own


class Phase(NamedTuple):
    """A stretch of steady load."""

    rate: float  # events a second
    seconds: float


def schedule(phases: Sequence[Phase]) -> Floats:
    """When each event is due, in seconds after the start.

    >>> schedule([Phase(2, 1), Phase(4, 0.5)]).tolist()
    [0.0, 0.5, 1.0, 1.25]
    """
    began, parts = 0.0, []
    for rate, seconds in phases:
        parts.append(began + np.arange(round(rate * seconds)) / rate)
        began += seconds
    return np.concatenate(parts)


def stream(due: Floats) -> Stream:
    """The workload's payments, event `i` of them with id `i` and made when it is due: event time goes as fast as the clock."""

    def as_due(block: Columns, _: np.random.Generator) -> None:
        times = START + due[block.first : block.first + len(block.at)]
        block.at[: len(times)] = np.round(times, 3)
        block.ids = [f"{block.first + i:032d}" for i in range(len(block.at))]

    return Stream(len(due), seed=SEED, changes=[as_due])


class Sending:
    """A producer with its records made."""

    def __init__(self, bootstrap_servers: str, topic: str, due: Floats) -> None:
        self._topic, self._due = topic, due
        self._keys: list[bytes] = []
        self._values: list[bytes] = []
        for keys, values in records(stream(due)):
            self._keys += keys
            self._values += values
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": LINGER_MS,
                "queue.buffering.max.messages": QUEUE_RECORDS,
            }
        )
        self._producer.list_topics(topic, timeout=10.0)  # connected before the clock starts

    def run(self, start: float) -> Floats:
        """When each event was handed over, in seconds after the start."""
        due, sent, handed = self._due, 0, np.empty_like(self._due)
        while sent < len(due):
            until = int(np.searchsorted(due, time.monotonic() - start, side="right"))
            if until > sent:
                self._send(sent, until)
                handed[sent:until] = time.monotonic() - start
                sent = until
            time.sleep(TICK_SECONDS)
        if left := self._producer.flush(FLUSH_SECONDS):
            raise RuntimeError(f"{left} events did not reach {self._topic}")
        return handed

    def _send(self, first: int, until: int) -> None:
        pairs = zip(self._keys[first:until], self._values[first:until], strict=True)
        messages = [{"key": key, "value": value} for key, value in pairs]
        if self._producer.produce_batch(self._topic, messages) != len(messages):
            raise RuntimeError(f"{self._topic}: the producer's queue is full")
        self._producer.poll(0)


def main() -> None:
    out, bootstrap_servers, topic, phases = sys.argv[1:]
    sending = Sending(bootstrap_servers, topic, schedule(msgspec.json.decode(phases, type=list[Phase])))
    gc.collect()
    gc.freeze()
    np.save(Path(out), sending.run(told_start()))


if __name__ == "__main__":
    main()
