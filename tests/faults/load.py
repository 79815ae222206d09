"""Load: a thread that sends both topics' events at a steady rate, with disorder in event time and some garbage."""

import logging
import random
import threading
import time

import msgspec
from confluent_kafka import KafkaException, Producer

from featurestore.events import Event, contract
from tests.faults.pipeline import CARDS, PLACE, SHOPS, Fed, Scored

TICK_SECONDS = 0.02
GARBAGE_SHARE = 0.01
NO_CARD_SHARE = 0.01
DISORDER_SHARE, DISORDER_SECONDS = 0.2, 3.0  # of the events, and how late these are on average
FUTURE_SECONDS = 7_200.0
BURST_TICKS = 5  # after a pause of the machine, catch up by no more than this at once

log = logging.getLogger(__name__)


class Load:
    """Sends until stopped. `rate` is events a second, both topics together, half of them scored; it may be changed at any time.

    ``weights`` says how often each partition is chosen; the same for all by default. ``seconds_behind`` shifts event times.
    """

    def __init__(self, bootstrap_servers: str, partitions: int, rate: float, seed: int) -> None:
        self.rate = rate
        self.partitions = partitions
        self.weights: list[float] | None = None
        self.seconds_behind = [0.0] * partitions  # per partition: event times lie so far in the past
        self.favourite_share = 0.0  # of the events, those of one card and one shop
        self.sent = 0
        self.failed = 0
        self._dice = random.Random(seed)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "acks": "all",
                "linger.ms": 5,
                "message.timeout.ms": 120_000,  # a broker that is away for a while costs no event
                "queue.buffering.max.messages": 500_000,
                "log_level": 0,
            }
        )
        self._encode = msgspec.json.Encoder().encode
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="load", daemon=True)
            self._thread.start()

    def stop(self, flush_seconds: float = 60.0) -> int:
        """Stops, and waits for the broker's word; how many records it did not take in that time."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
        return int(self._producer.flush(flush_seconds))

    def send(self, count: int) -> None:
        """So many events now, from the caller's thread; not while the load runs."""
        for _ in range(count):
            self._send_one()
            if not self.sent % 1000:
                self._producer.poll(0)
        self._producer.flush(60)

    def _run(self) -> None:
        due, before = 0.0, time.monotonic()
        while not self._stop.wait(TICK_SECONDS):
            now = time.monotonic()
            due = min(due + self.rate * (now - before), self.rate * TICK_SECONDS * BURST_TICKS + 1)
            before = now
            while due >= 1:
                self._send_one()
                due -= 1
            self._producer.poll(0)

    def _send_one(self) -> None:
        dice, number = self._dice, self.sent
        self.sent += 1
        partition = self._partition()
        at = time.time() - self.seconds_behind[partition]
        if dice.random() < DISORDER_SHARE:
            at -= dice.expovariate(1 / DISORDER_SECONDS)
        event: Scored | Fed = self._scored(number, at, partition) if dice.random() < 0.5 else self._fed(number, at)
        kind = type(event)
        value: bytes | None = self._encode(event)
        if dice.random() < GARBAGE_SHARE:
            value = self._garbage(event)
        self._produce(kind, getattr(event, contract(kind).key), value, partition)

    def _partition(self) -> int:
        if self.weights is None:
            return self._dice.randrange(self.partitions)
        return self._dice.choices(range(self.partitions), self.weights)[0]

    def _scored(self, number: int, at: float, partition: int) -> Scored:
        dice = self._dice
        favourite = dice.random() < self.favourite_share
        card = "card-0" if favourite else f"card-{int(CARDS * dice.random() ** 2)}"
        if dice.random() < NO_CARD_SHARE:
            card = ""
        shop = "shop-0" if favourite else f"shop-{dice.randrange(SHOPS)}"
        amount = round(min(dice.lognormvariate(3, 1), 9_999), 2)
        return Scored(f"e{number}", at, f"{PLACE[0]}{partition}", card, shop, dice.choice(("chip", "online", "phone")), amount)

    def _fed(self, number: int, at: float) -> Fed:
        dice = self._dice
        return Fed(f"e{number}", at, f"shop-{dice.randrange(SHOPS)}", round(dice.gauss(0, 10), 3))

    def _garbage(self, event: Event) -> bytes | None:
        """One of the ways in which a record breaks its contract."""
        whole: bytes = self._encode(event)
        future = msgspec.structs.replace(event, at=time.time() + FUTURE_SECONDS)
        return self._dice.choice([None, whole[:20], b"\xff\xfe{", b"{}", self._encode(future)])

    def _produce(self, kind: type[Event], key: str, value: bytes | None, partition: int) -> None:
        try:
            self._producer.produce(contract(kind).topic, value, key, partition=partition, on_delivery=self._delivered)
        except BufferError:
            self.failed += 1
            self._producer.poll(0.1)
        except KafkaException as error:
            self.failed += 1
            log.warning("load: %s", error)

    def _delivered(self, error: object, _: object) -> None:
        self.failed += error is not None
