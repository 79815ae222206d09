"""The meter: when each event's prediction is in a consumer's hands, in a process of its own.

    python -m benchmarks.meter OUT BOOTSTRAP_SERVERS TOPIC '[0, 0, 0, 0]' EVENTS SECONDS

Reads predictions from an offset of each partition on until it has one of each event, or for so many seconds. Events are known by
their ids, which benchmarks/load.py counts. OUT gets the moment of each event's first prediction, in seconds after the start, NaN
where none came.
"""

import gc
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks.beside import Floats, told_start

POLL_SECONDS = 0.1
AT_ONCE = 10_000


class Named(msgspec.Struct):
    """What the meter wants to know of a prediction."""

    event_id: str


class Meter:
    """A consumer that stands before the first prediction of the run."""

    def __init__(self, bootstrap_servers: str, topic: str, offsets: list[int]) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "benchmark",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
                "queued.min.messages": 1_000_000,  # never waits before it fetches more
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in enumerate(offsets)])

    def run(self, start: float, events: int, seconds: float) -> Floats:
        """The moment of each event's first prediction, in seconds after the start."""
        arrived, missing = np.full(events, np.nan), events
        decode = msgspec.json.Decoder(Named).decode
        while missing and time.monotonic() < start + seconds:
            messages = self._next()
            now = time.monotonic() - start
            found = np.array([int(decode(message.value()).event_id) for message in messages], dtype=np.int64)
            new = np.unique(found[np.isnan(arrived[found])])
            arrived[new] = now
            missing -= len(new)
        self._consumer.close()
        return arrived

    def _next(self) -> list[Any]:
        """The next prediction, and what else is there already: a consumer that waited for more would be late with the first."""
        first = self._consumer.poll(POLL_SECONDS)
        messages = [] if first is None else [first, *self._consumer.consume(AT_ONCE, timeout=0)]
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
        return messages


def main() -> None:
    out, bootstrap_servers, topic, offsets, events, seconds = sys.argv[1:]
    meter = Meter(bootstrap_servers, topic, msgspec.json.decode(offsets, type=list[int]))
    gc.freeze()
    np.save(Path(out), meter.run(told_start(), int(events), float(seconds)))


if __name__ == "__main__":
    main()
