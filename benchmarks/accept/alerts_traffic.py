"""The drill's steady traffic: orders and quotes every tenth of a second, and the faults that producers make."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Producer

from benchmarks.accept.alerts_market import SHOPS, Market
from benchmarks.accept.alerts_pipeline import Order, Quote
from featurestore.events import contract
from streams.topics import QUIET

STEP_SECONDS = 0.1
FLUSH_SECONDS = 60.0
BURST_STEP = 50  # orders
MALFORMED = b'{"id": 17, "user": '


class Traffic(threading.Thread):
    """Sends until `stop`. What it sends is changed while it runs.

    ``orders`` and ``quotes`` are numbers a second; ``malformed`` the share of orders that are no records;
    ``market.factor`` and ``market.unknown`` what the orders are like.
    """

    def __init__(self, bootstrap_servers: str, orders: int = 100, quotes: int = 20) -> None:
        super().__init__(daemon=True)
        self.orders, self.quotes, self.malformed = orders, quotes, 0.0
        self.market = Market(seed=2)
        self._random = np.random.default_rng(3)
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 5, **QUIET})
        self._ending = threading.Event()

    def prime(self) -> None:
        """A quote of each shop, acknowledged: orders before it would be refused."""
        self._send(self.market.quotes([time.time()] * SHOPS))
        self._flush()

    def burst(self, orders: int) -> None:
        """So many orders at once, with their share of quotes among them."""
        for begin in range(0, orders, BURST_STEP):
            step = min(BURST_STEP, orders - begin)
            self._send(self.market.orders([time.time()] * step))
            self._send(self.market.quotes([time.time()] * (step * self.quotes // self.orders)))

    def run(self) -> None:
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due += STEP_SECONDS
            now = time.time()
            self._send(self.market.orders([now] * self._count(self.orders)), self.malformed)
            self._send(self.market.quotes([now] * self._count(self.quotes)))

    def stop(self) -> None:
        self._ending.set()
        if self.is_alive():
            self.join()
        self._flush()

    def _count(self, a_second: int) -> int:
        """Of this step, so that the rate is kept on the average."""
        return int(self._random.binomial(a_second, STEP_SECONDS)) if a_second else 0

    def _send(self, events: Sequence[Order] | Sequence[Quote], malformed: float = 0.0) -> None:
        for event in events:
            value = MALFORMED if malformed and self._random.random() < malformed else msgspec.json.encode(event)
            self._produce(contract(type(event)), event, value)
        self._producer.poll(0)

    def _produce(self, agreed: Any, event: Any, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(agreed.topic, value, key=getattr(event, agreed.key).encode())
                return
            except BufferError:  # a burst is larger than the queue
                self._producer.poll(0.1)

    def _flush(self) -> None:
        if self._producer.flush(FLUSH_SECONDS):
            raise RuntimeError("Kafka did not take the drill's events")
