"""Reads what the workers publish and counts it: predictions, repeats, dead letters, and how long each prediction took.

Latency is the broker's word at both ends: the prediction's own timestamp (when it was appended) less its event's. Nothing of the
demo's own reading is in it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from streams.outputs import TopicNames
from streams.records import DeadLetter, Prediction

BATCH = 1_000
WAIT_SECONDS = 0.25
RECENT_SECONDS = 10.0
MS = 1000.0

Place = tuple[str, int]  # topic, partition


@dataclass(slots=True)
class Tally:
    """What was counted; written by the watcher's thread alone."""

    predictions: int = 0
    rejects: int = 0
    first_prediction: float | None = None  # time.time(), warm-up included
    last_prediction: float = 0.0  # the broker's clock, seconds
    model_version: int | None = None
    ids: set[str] = field(default_factory=set)
    latencies_ms: list[float] = field(default_factory=list)
    recent: deque[tuple[float, float]] = field(default_factory=deque)  # published at (broker's seconds), latency in ms

    @property
    def distinct_predictions(self) -> int:
        return len(self.ids)


class Watcher:
    """Consumes predictions and dead letters on a thread of its own; `scored` hears each counted prediction (event id, score)."""

    def __init__(self, bootstrap_servers: str, names: TopicNames, scored: Callable[[str, float], None]) -> None:
        self.tally = Tally()
        self.failure: BaseException | None = None
        self._names, self._scored = names, scored
        self._from: Mapping[Place, int] | None = None
        self._prediction = msgspec.json.Decoder(Prediction)
        self._letter = msgspec.json.Decoder(DeadLetter)
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "tidegate-demo",  # never joined: partitions are assigned by hand, nothing is committed
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begins with the oldest record of each output topic; they must exist."""
        topics = self._consumer.list_topics(timeout=10.0).topics
        names = (self._names.predictions, self._names.dead_letters)
        self._consumer.assign([TopicPartition(n, p, OFFSET_BEGINNING) for n in names for p in topics[n].partitions])
        self._thread.start()

    def count_from(self, offsets: Mapping[Place, int]) -> None:
        """From now on what comes of source records at these offsets or later counts; nothing did before."""
        self._from = dict(offsets)

    def stop(self) -> None:
        """Reads on until nothing more comes, then ends."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._consumer.close()

    def latency_ms(self, *percents: float) -> list[float | None]:
        """Percentiles over all counted predictions."""
        return percentiles(self.tally.latencies_ms[:], percents)

    def recent_latency_ms(self, *percents: float) -> list[float | None]:
        """Percentiles over those published in the last seconds."""
        since = time.time() - RECENT_SECONDS
        return percentiles([ms for at, ms in self.tally.recent.copy() if at >= since], percents)

    def _run(self) -> None:
        try:
            while True:
                messages = self._consumer.consume(BATCH, WAIT_SECONDS)
                for message in messages:
                    if not message.error():
                        self._take(message)
                if self._stop.is_set() and not messages:  # what is there already is still counted
                    return
        except BaseException as error:  # told by the main thread, which looks
            self.failure = error

    def _take(self, message: Message) -> None:
        if message.topic() == self._names.predictions:
            self._take_prediction(message)
        else:
            letter = self._letter.decode(message.value())
            self.tally.rejects += self._counts(letter.topic, letter.partition, letter.offset)

    def _take_prediction(self, message: Message) -> None:
        tally, prediction = self.tally, self._prediction.decode(message.value())
        if tally.first_prediction is None:
            tally.first_prediction = time.time()
        tally.model_version = prediction.model_version
        topic, partition, offset = prediction.prediction_id.rsplit("-", 2)
        if not self._counts(topic, int(partition), int(offset)):
            return
        tally.predictions += 1
        tally.ids.add(prediction.prediction_id)
        published = message.timestamp()[1] / MS
        latency = (published - prediction.ingest_time) * MS
        tally.last_prediction = max(tally.last_prediction, published)
        tally.latencies_ms.append(latency)
        self._remember(published, latency)
        self._scored(prediction.event_id, prediction.score)

    def _remember(self, published: float, latency: float) -> None:
        recent = self.tally.recent
        recent.append((published, latency))
        while recent[0][0] < published - RECENT_SECONDS:
            recent.popleft()

    def _counts(self, topic: str, partition: int, offset: int) -> bool:
        return self._from is not None and offset >= self._from.get((topic, partition), 0)


def percentiles(values_ms: list[float], percents: tuple[float, ...]) -> list[float | None]:
    """None each where there are no values.

    >>> percentiles([1.0, 2.0, 3.0], (50,))
    [2.0]
    """
    if not values_ms:
        return [None] * len(percents)
    return [float(value) for value in np.percentile(values_ms, percents)]
