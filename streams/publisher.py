"""Publish a chunk's results and wait for the broker's word.

Every record of a chunk carries the same callback, which counts: librdkafka may fail a batch in the middle and deliver
what follows, so the last record's success says nothing about the others. Through produce_batch that costs 0.3 us a
record more than one callback a partition (1.8 instead of 1.5 us of CPU); lz4 costs less CPU than it saves.
Faust's own producer is not used: its flush ignores delivery errors (pitfall 6).

A topic's max.message.bytes bounds a batch, not a record: small records are refused together that it would take one by
one, for ever, because librdkafka makes the same batch again. What is refused for its size is therefore sent once more by a
producer that makes a batch of each record, and so is all that follows for that topic. A record refused there is too large by
itself; its batch says what to publish instead.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.errors import PublishError, RecordTooLarge

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # a poll returns as soon as there is a report
QUEUE_FULL_SECONDS = 0.01
MAX_MESSAGE_BYTES = 1_000_000  # librdkafka's default; brokers take 1,048,588 by default
MAX_QUEUED_RECORDS = 500_000
RECONNECT_MS = 2_000  # librdkafka waits up to 10 s, which a restarted broker's clients would sit out
# What a deleted topic looks like, by how much of it the client had known.
GONE = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART})

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


class Publisher(Protocol):
    async def publish(self, batches: Sequence[Outgoing]) -> None:
        """Returns when the broker has acknowledged every record, or what stands for it; raises PublishError otherwise."""

    async def close(self) -> None: ...


class MemoryPublisher:
    """For tests and the in-memory driver: keeps (topic, key, value) in `records`."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None, bytes]] = []

    async def publish(self, batches: Sequence[Outgoing]) -> None:
        for batch in batches:
            self.records += ((batch.topic, k, v) for k, v in zip(batch.keys, batch.values, strict=True))

    async def close(self) -> None:
        return None

    def values(self, topic: str) -> list[bytes]:
        return [value for name, _, value in self.records if name == topic]


class _Delivery:
    """Counts the reports of one send and tells the event loop once; called in the poll thread.

    ``refused`` are the records that were too large, alone or with their batch. Any other error ends the wait at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._reports = 0  # counted in the poll thread alone, as the next is in the event loop's
        self._not_queued = 0
        self._told = False
        self._loop = asyncio.get_running_loop()
        self.refused: Counter[Sent] = Counter()
        self.finished: asyncio.Future[None] = self._loop.create_future()

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failed(error, (message.topic(), message.key(), message.value()))
        self._reports += 1
        if self._reports + self._not_queued == self._count:
            self._tell(None)

    def not_queued(self, error: KafkaError, sent: Sent) -> None:
        """The client itself refused a record, of which there will be no report."""
        self._failed(error, sent)
        self._not_queued += 1
        if self._reports + self._not_queued == self._count:
            self._tell(None)

    def _failed(self, error: KafkaError, sent: Sent) -> None:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self.refused[sent] += 1
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


class _Sender:
    """A librdkafka producer and the thread that hears its reports."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._producer = Producer(dict(settings), logger=logger)
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="publisher-poll", daemon=True)
        self._poller.start()

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_SECONDS)

    async def send(self, batches: Sequence[Outgoing]) -> Counter[Sent]:
        """Returns when every record was acknowledged, or refused for its size: those; raises PublishError otherwise."""
        delivery = _Delivery(sum(len(batch.values) for batch in batches))
        try:
            for batch in batches:
                await self._enqueue(batch, delivery)
            await delivery.finished
        finally:
            delivery.finished.cancel()  # what a failed call left behind reports to nobody
        return delivery.refused

    async def _enqueue(self, batch: Outgoing, delivery: _Delivery) -> None:
        messages = [{"value": v, "key": k} for k, v in zip(batch.keys, batch.values, strict=True)]
        while messages:
            try:
                accepted = self._producer.produce_batch(batch.topic, messages, on_delivery=delivery)
            except BufferError:
                await asyncio.sleep(QUEUE_FULL_SECONDS)  # the poll thread makes room
                continue
            except KafkaException as error:
                raise PublishError(batch.topic, reason(error.args[0])) from error
            if accepted == len(messages):
                return
            messages = unqueued(batch.topic, messages, delivery)
            if messages:
                await asyncio.sleep(QUEUE_FULL_SECONDS)

    async def close(self) -> None:
        """Drop what is queued and stop the poll thread. Nobody waits for it: its chunk will be published again."""
        if self._closing.is_set():
            return
        self._producer.purge()
        self._closing.set()
        await asyncio.to_thread(self._poller.join, 1.0)


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


class KafkaPublisher:
    """An idempotent librdkafka producer; keys reach the partition they reach from Java and Faust (murmur2).

    Records of a key keep their order, but for those of one call that a topic refused for their size. Create it in the process
    that uses it: librdkafka's threads do not survive a fork.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        delivery_timeout_seconds: float = 300.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 2,
            "compression.type": "lz4",
            "message.max.bytes": max_message_bytes,
            "message.timeout.ms": int(delivery_timeout_seconds * 1000),
            "queue.buffering.max.messages": MAX_QUEUED_RECORDS,
            "reconnect.backoff.max.ms": RECONNECT_MS,
            **(config or {}),
        }
        self._together = _Sender(self._settings)
        self._singly: _Sender | None = None
        self._narrow: set[str] = set()  # topics that refused a batch

    async def publish(self, batches: Sequence[Outgoing]) -> None:
        batches = [batch for batch in batches if batch.values]
        narrow = [batch for batch in batches if batch.topic in self._narrow]
        wide = [batch for batch in batches if batch.topic not in self._narrow]
        if wide and (refused := await self._together.send(wide)):
            narrow += [self._note(part) for part in parts(wide, refused)]
        if narrow:
            await self._publish_singly(narrow)

    def _note(self, batch: Outgoing) -> Outgoing:
        self._narrow.add(batch.topic)
        logger.warning(
            "%s takes no batch of %d bytes (%d records): its records are sent one by one, which is slower, until this worker "
            "restarts. Raise max.message.bytes of the topic", batch.topic, sum(map(len, batch.values)), len(batch.values),
        )  # fmt: skip
        return batch

    async def _publish_singly(self, batches: Sequence[Outgoing]) -> None:
        if self._singly is None:
            self._singly = _Sender({**self._settings, "batch.num.messages": 1})
        for batch in parts(batches, await self._singly.send(batches)):
            for place, value in enumerate(batch.values):
                instead = batch.instead(place) if batch.instead is not None else ()
                if not instead:
                    raise RecordTooLarge(batch.topic, len(value))
                await self.publish(instead)

    async def close(self) -> None:
        """Drop what no call waits for any more and stop the poll threads; at once, also while the broker is away."""
        for sender in (self._together, self._singly):
            if sender is not None:
                await sender.close()


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
