"""Events by the million, fast: drawn as columns, encoded by hand, sent in batches with the record timestamps that they ask for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from featurestore.events import contract
from tests.faults.pipeline import CARDS, PLACE, SHOPS, Scored

BLOCK = 20_000
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

    def _block(self, first: int, n: int, shift: np.ndarray) -> tuple[list[int], list[float], list[bytes], list[bytes]]:  # type: ignore[type-arg]
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


def create_source(bootstrap_servers: str, partitions: int) -> None:
    """The scored topic, with the producer's timestamps: a worker would make it with the broker's."""
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    made = AdminClient({"bootstrap.servers": bootstrap_servers}).create_topics([NewTopic(TOPIC, partitions, config=config)])
    made[TOPIC].result()


def send(bootstrap_servers: str, bulk: Bulk) -> int:
    """Sends all of it, compressed; the number of records that the broker has acknowledged, which is all of them."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 500_000,
            "queue.buffering.max.messages": 5 * BLOCK,
            "log_level": 0,
        }
    )
    for partitions, times, keys, values in bulk.blocks():
        messages = [
            {"value": value, "key": key, "partition": partition, "timestamp": int(at * 1000)}
            for partition, at, key, value in zip(partitions, times, keys, values, strict=True)
        ]
        while messages:  # what the queue had no room for comes again
            producer.produce_batch(TOPIC, messages)
            messages = [message for message in messages if message.pop("_error", None) is not None]
            producer.poll(0.05 if messages else 0)
    if left := producer.flush(FLUSH_SECONDS):
        raise RuntimeError(f"{left} events did not reach {TOPIC}")
    return bulk.events


def example() -> Scored:
    """The first event of a small bulk, decoded: the hand-written JSON is the contract's."""
    _, _, _, values = next(Bulk(1, 1, 1.0, 0.0).blocks())
    return Scored(**json.loads(values[0]))
