"""Served vectors of the gauges, as a worker would publish them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Producer

from benchmarks.gauges import FEATURES, pipeline
from featurestore.compute import Served
from featurestore.events import Floats
from featurestore.plan import compile_plan
from streams.outputs import TopicNames
from streams.vectors import Scored, VectorEncoder, VectorRows

PLAN = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
START = 1_735_689_600.0  # 2025-01-01
VERSION = 1


def gauges(random: np.random.Generator, n: int) -> Floats:
    """Independent readings (n, 30), each gauge with a level and a spread of its own."""
    number = np.arange(len(FEATURES))
    return random.normal(10.0 * number, 1.0 + number, (n, len(FEATURES)))


@dataclass(slots=True)
class Feed:
    """Publishes served vectors, each of its own source offset, a record at a time, to partitions in turn."""

    bootstrap_servers: str
    partitions: int = 4
    rows_a_record: int = 500
    seconds_a_row: float = 1.0
    seed: int = 2
    sent: int = 0
    start: float = START
    _records: int = 0
    _encoder: VectorEncoder = field(default_factory=lambda: VectorEncoder(PLAN))

    def send(self, rows: int, shift: float = 0.0, feature: int = 0, version: int = VERSION) -> None:
        """So many rows more; one gauge is shifted by so many of its standard deviations. Returns when Kafka has them."""
        producer = Producer({"bootstrap.servers": self.bootstrap_servers, "compression.type": "lz4"})
        for value in self.values(rows, shift, feature, version):
            producer.produce(TopicNames.of(pipeline.name).features, value=value, partition=self._records % self.partitions)
            self._records += 1
            producer.poll(0)
        if producer.flush(60):
            raise RuntimeError("Kafka did not take the served vectors")

    def values(self, rows: int, shift: float = 0.0, feature: int = 0, version: int = VERSION) -> Iterator[bytes]:
        """The records, as a worker would publish them."""
        left = rows
        while left:
            n = min(left, self.rows_a_record)
            yield from self._encoder.encode(self._rows(n, shift, feature, version))
            self.sent += n
            left -= n

    def _rows(self, n: int, shift: float, feature: int, version: int) -> VectorRows:
        offsets = np.arange(self.sent, self.sent + n)
        random = np.random.default_rng((self.seed, self.sent))
        matrix = gauges(random, n)
        matrix[:, feature] += shift * (1.0 + feature)
        scores = 1 / (1 + np.exp(-matrix[:, 0]))
        flags = np.zeros((4, n), dtype=np.bool_)
        return VectorRows(
            prediction_ids=[f"gauges.readings-0-{offset}" for offset in offsets.tolist()],
            event_ids=[f"{offset:032x}" for offset in offsets.tolist()],
            times=self.start + self.seconds_a_row * offsets.astype(np.float64),
            served=Served(matrix, np.zeros((n, 0)), *flags),
            partitions=np.zeros(n, dtype=np.int64),
            offsets=offsets,
            scored=Scored(version, scores, (scores >= 0.5).astype(np.float64), np.maximum(scores, 1 - scores)),
        )
