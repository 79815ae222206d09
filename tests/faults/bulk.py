"""Events by the million, fast: drawn as columns, encoded by hand, sent with record timestamps of their own."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from featurestore.events import Floats, contract
from tests.faults.pipeline import CARDS, PLACE, SHOPS, Scored

BLOCK, QUEUED = 20_000, 100_000
CHANNELS = ("chip", "online", "phone")
TOPIC = contract(Scored).topic
FLUSH_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Bulk:
    """``events`` scored events over ``partitions``, ``rate`` a second of event time from ``start`` (seconds since the epoch) on.

    ``ahead``: seconds that are added to event and record times of some partitions. ``hot``: the share of all events that one
    card makes, in all partitions alike.
    """

    events: int
    partitions: int
    rate: float
    start: float
    seed: int = 1
    ahead: tuple[tuple[int, float], ...] = ()
    hot: float = 0.0

    def blocks(self) -> Iterator[tuple[list[int], list[float], list[bytes], list[bytes]]]:
        """Partitions, times in seconds, keys and values of the events, in order of event time before `ahead` is added."""
        shift = np.zeros(self.partitions)
        for partition, seconds in self.ahead:
            shift[partition] = seconds
        for first in range(0, self.events, BLOCK):
            yield self._block(first, min(BLOCK, self.events - first), shift)

    def _block(self, first: int, n: int, shift: Floats) -> tuple[list[int], list[float], list[bytes], list[bytes]]:
        random = np.random.default_rng((self.seed, first))
        partitions = random.integers(0, self.partitions, n)
        times = np.round(self.start + np.arange(first, first + n) / self.rate + shift[partitions], 3).tolist()
        cards = np.where(random.random(n) < self.hot, 0, CARDS * random.random(n) ** 2).astype(np.int64).tolist()
        shops = random.integers(0, SHOPS, n).tolist()
        channels = random.integers(0, len(CHANNELS), n).tolist()
        amounts = np.round(np.minimum(random.lognormal(3, 1, n), 9_999), 2).tolist()
        chosen = partitions.tolist()
        values = [
            b'{"id":"e%d","at":%.3f,"place":"%s%d","card":"card-%d","shop":"shop-%d","channel":"%s","amount":%.2f}'
            % (first + i, at, PLACE[0].encode(), partition, card, shop, CHANNELS[channel].encode(), amount)
            for i, (at, partition, card, shop, channel, amount) in enumerate(
                zip(times, chosen, cards, shops, channels, amounts, strict=True)
            )
        ]
        return chosen, times, [b"card-%d" % card for card in cards], values


def use_producers_time(bootstrap_servers: str) -> None:
    """Lets the scored topic's records keep the timestamps that they are sent with, for ever."""
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}.items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPIC, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})  # its futures die with it
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()


def send(bootstrap_servers: str, bulk: Bulk) -> int:
    """Sends all of it, compressed; the number of records that the broker has acknowledged, which is all of them."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 500_000,
            "queue.buffering.max.messages": QUEUED,
            "log_level": 0,
        }
    )
    for partitions, times, keys, values in bulk.blocks():  # produce_batch takes no timestamps
        for partition, at, key, value in zip(partitions, times, keys, values, strict=True):
            producer.produce(TOPIC, value, key, partition, timestamp=int(at * 1000))
        while len(producer) > QUEUED - BLOCK:
            producer.poll(0.05)
    if left := producer.flush(FLUSH_SECONDS):
        raise RuntimeError(f"{left} events did not reach {TOPIC}")
    return bulk.events
