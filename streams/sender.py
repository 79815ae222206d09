"""One librdkafka producer and the reports on what it was given; a producer that is stuck is replaced.

Every record of a send carries the same callback, which counts: librdkafka may fail a batch in the middle and deliver
what follows, so the last record's success says nothing about the others. Through produce_batch that costs 0.3 us a
record more than one callback a partition (1.8 instead of 1.5 us of CPU).

librdkafka (2.16, its issue 5430) may never again send to a partition whose leader was away for a moment, as it is when a broker
restarts; every record then waits until its timeout. A send of which nothing has been heard for STUCK_SECONDS, while another
client sees a leader for each of its partitions, is therefore given to a new producer. What the old one may still have delivered
is then published twice, under the same ids.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.errors import PublishError

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # a poll returns as soon as there is a report
QUEUE_FULL_SECONDS = 0.01
STUCK_SECONDS = 8.0
PROBE_SECONDS = 3.0
# What a deleted topic looks like, by how much of it the client had known.
GONE = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART})
PURGED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})

Sent = tuple[str, bytes | None, bytes]  # topic, key, value


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Records for one topic; `keys` and `values` run in parallel. A key of None goes to any partition.

    ``instead`` says what to publish in the place of a record, named by its place, that alone is larger than the topic takes.
    Without it, or where it has nothing to offer, such a record is an error.
    """

    topic: str
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    instead: Callable[[int], Sequence[Outgoing]] | None = None

    def part(self, places: Sequence[int]) -> Outgoing:
        """The records in these places."""
        instead = self.instead
        return Outgoing(
            self.topic,
            [self.keys[place] for place in places],
            [self.values[place] for place in places],
            None if instead is None else lambda place: instead(places[place]),
        )


class _Delivery:
    """Counts the reports of one send and tells the event loop once; called in the poll thread.

    ``refused`` are the records that were too large, alone or with their batch, ``purged`` those that a producer gave back
    undelivered (or without having heard). Any other error ends the wait at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.reports = 0  # counted in the poll thread alone, as the next is in the event loop's
        self._not_queued = 0
        self._told = False
        self._loop = asyncio.get_running_loop()
        self.refused: Counter[Sent] = Counter()
        self.purged: Counter[Sent] = Counter()
        self.finished: asyncio.Future[None] = self._loop.create_future()

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failed(error, (message.topic(), message.key(), message.value()))
        self.reports += 1
        if self.reports + self._not_queued == self._count:
            self._tell(None)

    def not_queued(self, error: KafkaError, sent: Sent) -> None:
        """The client itself refused a record, of which there will be no report."""
        self._failed(error, sent)
        self._not_queued += 1
        if self.reports + self._not_queued == self._count:
            self._tell(None)

    def given_back(self, topic: str, messages: Sequence[Mapping[str, Any]]) -> None:
        """Records that were never given to a producer, for theirs has been replaced."""
        for message in messages:
            self.not_queued(KafkaError(KafkaError._PURGE_QUEUE), (topic, message["key"], message["value"]))

    def _failed(self, error: KafkaError, sent: Sent) -> None:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self.refused[sent] += 1
        elif error.code() in PURGED:
            self.purged[sent] += 1
        else:
            self._tell(PublishError(sent[0], reason(error)))

    def _tell(self, error: PublishError | None) -> None:
        if not self._told:
            self._told = True
            self._loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: PublishError | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)


class Sender:
    """A librdkafka producer, the thread that hears its reports, and its successor where it is stuck."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self._closed = False
        self._line = _Line(self._settings)

    async def send(self, batches: Sequence[Outgoing]) -> Counter[Sent]:
        """Returns when every record was acknowledged, or refused for its size: those; raises PublishError otherwise."""
        refused: Counter[Sent] = Counter()
        patience = STUCK_SECONDS
        while batches:
            line, delivery = self._line, _Delivery(sum(len(batch.values) for batch in batches))
            try:
                for batch in batches:
                    await self._enqueue(line, batch, delivery, patience)
                patience = await self._heard(line, delivery, {batch.topic for batch in batches}, patience)
            finally:
                delivery.finished.cancel()  # what a failed call left behind reports to nobody
            refused += delivery.refused
            batches = parts(batches, delivery.purged)
            if batches and self._closed:
                raise PublishError(batches[0].topic, "this worker stops")
        return refused

    async def _heard(self, line: _Line, delivery: _Delivery, topics: set[str], patience: float) -> float:
        """Waits for the reports; renews a stuck producer, and returns how long to be patient with the next."""
        while not delivery.finished.done():
            before = delivery.reports
            await asyncio.wait({delivery.finished}, timeout=patience)
            if delivery.finished.done() or delivery.reports > before:
                continue
            if line is not self._line:
                line.end()  # what it was given after its end
            elif await self._renewed(line, topics):
                patience *= 2  # a broker that is merely slow is not to be flooded with repetitions
        delivery.finished.result()
        return patience

    async def _renewed(self, line: _Line, topics: set[str]) -> bool:
        """Replaces the producer, if it is still the one and the topics' leaders are there; whether it is another now."""
        if await asyncio.to_thread(have_leaders, self._settings, topics) and line is self._line and not self._closed:
            named = ", ".join(sorted(topics))
            logger.warning("%s: nothing is acknowledged though the leaders are there; publishing by a new producer", named)
            self._line = _Line(self._settings)
            line.end()
        return line is not self._line

    async def _enqueue(self, line: _Line, batch: Outgoing, delivery: _Delivery, patience: float) -> None:
        messages = [{"value": v, "key": k} for k, v in zip(batch.keys, batch.values, strict=True)]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while messages:
            if line is not self._line:
                delivery.given_back(batch.topic, messages)
                return
            try:
                accepted = line.producer.produce_batch(batch.topic, messages, on_delivery=delivery)
                if accepted == len(messages):
                    return
                messages = unqueued(batch.topic, messages, delivery)
            except BufferError:
                accepted = 0
            except KafkaException as error:
                raise PublishError(batch.topic, reason(error.args[0])) from error
            if accepted or (loop.time() > deadline and not await self._renewed(line, {batch.topic})):
                deadline = loop.time() + patience
            await asyncio.sleep(QUEUE_FULL_SECONDS)  # the poll thread makes room

    async def close(self) -> None:
        """Drop what is queued and stop the poll thread. Nobody waits for it: its chunk will be published again."""
        if not self._closed:
            self._closed = True
            self._line.end()
            await asyncio.to_thread(self._line.poller.join, 1.0)


class _Line:
    """One producer and its poll thread."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.producer = Producer(dict(settings), logger=logger)
        self._ending = threading.Event()
        self.poller = threading.Thread(target=self._poll, name="publisher-poll", daemon=True)
        self.poller.start()

    def _poll(self) -> None:
        while not self._ending.is_set() or len(self.producer):
            self.producer.poll(POLL_SECONDS)

    def end(self) -> None:
        """Gives back everything not acknowledged, as reports; the thread ends when all are told."""
        self.producer.purge(blocking=False)
        self._ending.set()


def have_leaders(settings: Mapping[str, Any], topics: set[str]) -> bool:
    """Whether a client that knows nothing yet sees a leader for every partition of the topics."""
    kept = ("batch.", "linger.", "message.", "queue.", "enable.", "acks", "partitioner", "compression.")
    client = Producer({k: v for k, v in settings.items() if not k.startswith(kept)}, logger=logger)
    try:
        found = [client.list_topics(topic, timeout=PROBE_SECONDS).topics[topic] for topic in topics]
    except KafkaException:
        return False
    return all(topic.error is None and all(p.leader >= 0 for p in topic.partitions.values()) for topic in found)


def unqueued(topic: str, messages: list[dict[str, Any]], delivery: _Delivery) -> list[dict[str, Any]]:
    """Those messages to try again, because the queue was full; of the others that were not queued `delivery` is told."""
    again = []
    for message in messages:
        error = message.pop("_error", None)
        if error is None:
            continue
        if error.code() == KafkaError._QUEUE_FULL:
            again.append(message)
        else:
            delivery.not_queued(error, (topic, message["key"], message["value"]))
    return again


def reason(error: KafkaError) -> str:
    """What went wrong, in words that help where librdkafka's do not."""
    if error.code() in GONE:
        return "there is no such topic (a worker creates its topics when it starts: start it again)"
    return str(error.str())


def parts(batches: Sequence[Outgoing], refused: Counter[Sent]) -> list[Outgoing]:
    """The records of the batches that were refused, as batches; equal records stand for each other."""
    left, found = refused.copy(), []
    for batch in batches if refused else ():
        places = []
        for place, (key, value) in enumerate(zip(batch.keys, batch.values, strict=True)):
            if left[batch.topic, key, value]:
                left[batch.topic, key, value] -= 1
                places.append(place)
        if places:
            found.append(batch.part(places))
    return found
