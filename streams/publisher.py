"""Publish a chunk's results and wait for the broker's word.

How records are sent and their reports heard is sender.py's. lz4 costs less CPU than it saves.
Faust's own producer is not used: its flush ignores delivery errors (pitfall 6).

A topic's max.message.bytes bounds a batch, not a record: small records are refused together that it would take one by
one, for ever, because librdkafka makes the same batch again. What is refused for its size is therefore sent once more by a
producer that makes a batch of each record, and so is all that follows for that topic. A record refused there is too large by
itself; its batch says what to publish instead.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from streams.errors import RecordTooLarge
from streams.sender import Outgoing, Sender, parts

__all__ = ["KafkaPublisher", "MemoryPublisher", "Outgoing", "Publisher"]

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 1_000_000  # librdkafka's default; brokers take 1,048,588 by default
MAX_QUEUED_RECORDS = 500_000
RECONNECT_MS = 2_000  # librdkafka waits up to 10 s, which a restarted broker's clients would sit out


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
        self._together = Sender(self._settings)
        self._singly: Sender | None = None
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
            self._singly = Sender({**self._settings, "batch.num.messages": 1})
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
