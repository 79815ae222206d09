"""What came out: a thread reads predictions, served vectors and dead letters as they appear, and keeps what the oracle asks.

Kept by source partition and offset in flat arrays: a campaign's outputs are a few bytes an event.
"""

import threading
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from streams.outputs import TopicNames
from streams.vectors import decode_vectors
from tests.faults.reading import Topics

NONE = -1


class PredictionHead(msgspec.Struct):
    """Of a prediction, what the oracle asks."""

    prediction_id: str
    event_id: str
    ingest_time: float
    flags: list[str]


class LetterHead(msgspec.Struct):
    """Of a dead letter, what the oracle asks."""

    dead_letter_id: str
    topic: str
    partition: int
    offset: int
    reason: str


class Column:
    """A growing array by offset, with a default where nothing was put."""

    def __init__(self, code: str, default: float) -> None:
        self._default = default
        self.values = array(code)

    def __getitem__(self, offset: int) -> Any:
        return self.values[offset] if offset < len(self.values) else self._default

    def __setitem__(self, offset: int, value: float) -> None:
        missing = offset + 1 - len(self.values)
        if missing > 0:
            self.values.extend([self._default] * missing)  # type: ignore[list-item]
        self.values[offset] = value  # type: ignore[call-overload]


class Partition:
    """What was published about one scored partition.

    ``event``: number of the event that an offset's prediction names; ``copies``: how often it was predicted; ``seen_least`` and
    ``seen_most``: the witness' counts in the vectors served for it; ``times``: for each prediction in order, when its event was
    produced and when the prediction was, by the broker's clock. Vectors flagged degraded that have seen nothing are left out.
    """

    def __init__(self) -> None:
        self.event = Column("q", NONE)
        self.copies = Column("H", 0)
        self.seen_least = Column("d", NONE)
        self.seen_most = Column("d", NONE)
        self.produced, self.published = array("d"), array("d")
        self.other_ids: list[int] = []  # offsets whose predictions name different events


class Outputs:
    """Reads on until closed. Questions are asked from other threads, best after `catch_up`."""

    def __init__(self, bootstrap_servers: str, pipeline: str, scored_topic: str, witness: int) -> None:
        self.names = TopicNames.of(pipeline)
        self.partitions: dict[int, Partition] = defaultdict(Partition)
        self.letters: dict[tuple[str, int, int], list[str]] = {}  # reasons, one a copy
        self.flags: dict[str, int] = defaultdict(int)
        self._scored_topic, self._witness = scored_topic, witness
        self._topics = Topics(bootstrap_servers, [self.names.predictions, self.names.features, self.names.dead_letters])
        self._decode = msgspec.json.Decoder(PredictionHead).decode
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="outputs", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    for message in self._topics.poll(0.05):
                        self._take(message)
                self._stop.wait(0.05)
        except BaseException as failure:  # told by the next `catch_up`
            self.failure = failure
            raise

    def _take(self, message: Any) -> None:
        if message.topic() == self.names.predictions:
            self._prediction(self._decode(message.value()), message.timestamp()[1] / 1000)
        elif message.topic() == self.names.features:
            self._vectors(message.value())
        else:
            letter = msgspec.json.decode(message.value(), type=LetterHead)
            self.letters.setdefault((letter.topic, letter.partition, letter.offset), []).append(letter.reason)

    def _prediction(self, found: PredictionHead, published: float) -> None:
        partition, offset = self._place(found.prediction_id)
        number = int(found.event_id[1:])
        if partition.event[offset] not in (NONE, number):
            partition.other_ids.append(offset)
        partition.event[offset] = number
        partition.copies[offset] = partition.copies[offset] + 1
        partition.produced.append(found.ingest_time)
        partition.published.append(published)
        for flag in found.flags:
            self.flags[flag] += 1

    def _vectors(self, value: bytes) -> None:
        batch = decode_vectors(value)
        counts = batch["vector"].flatten().to_numpy().reshape(len(batch), -1)[:, self._witness]
        blind = batch["degraded"].to_numpy(zero_copy_only=False) & np.isnan(counts)  # says so, and has seen nothing
        batch, counts = batch.filter(pa.array(~blind)), np.nan_to_num(counts[~blind])  # missing elsewhere: nothing seen
        for id, count in zip(batch["prediction_id"].to_pylist(), counts.tolist(), strict=True):
            partition, offset = self._place(id)
            least, most = partition.seen_least[offset], partition.seen_most[offset]
            partition.seen_most[offset] = max(most, count)
            partition.seen_least[offset] = count if least == NONE else min(least, count)

    def _place(self, id: str) -> tuple[Partition, int]:
        topic, partition, offset = id.rsplit("-", 2)
        assert topic == self._scored_topic, f"a prediction of an event of {topic}"
        return self.partitions[int(partition)], int(offset)

    def catch_up(self, seconds: float = 60.0) -> None:
        """Returns when everything that is published now was taken in; TimeoutError if it cannot be read."""
        if self.failure is not None:
            raise RuntimeError("the outputs could not be read") from self.failure
        with self._lock:
            self._topics.assign()  # topics may have been created, or created anew
            for messages in self._topics.read_on(seconds):
                for message in messages:
                    self._take(message)

    def forget(self, topics: Sequence[str]) -> None:
        """Topics are deleted; `catch_up` reads those that take their names from the beginning."""
        with self._lock:
            self._topics.forget(topics)

    def first_since(self, partition: int, produced: float, places: dict[int, int]) -> float | None:
        """When the first prediction of an event produced after a time was published; `places` remembers how far was looked."""
        found = self.partitions[partition]
        for i in range(places.get(partition, 0), len(found.published)):
            if found.produced[i] > produced:
                return found.published[i]
            places[partition] = i + 1
        return None

    def counts(self) -> dict[int, int]:
        """How many predictions each partition has, copies included."""
        return {number: len(partition.published) for number, partition in list(self.partitions.items())}

    def pauses(self, since: float, until: float) -> dict[int, float]:
        """Each partition's longest time without a prediction, in seconds, between two moments."""
        return {number: max(_gaps(partition, since, until), default=0.0) for number, partition in list(self.partitions.items())}

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._topics.close()


def _gaps(partition: Partition, since: float, until: float) -> Iterator[float]:
    before = since
    for at in partition.published:
        if since <= at <= until:
            yield at - before
            before = max(before, at)
    yield until - before
