"""The consumer's thread: aiokafka's consumer as we want it constructed, and one interruptible fetch at a time.

Faust fixes aiokafka's fetch wait at 1500 ms and asks through a queue whose waiting calls cannot be withdrawn. Here a
fetch is a task in the consumer's loop: an interruption either finds it waiting (nothing was drained, nothing is
lost) or finds it finished (its records are delivered), so a seek never races with a fetch of older positions.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiokafka
from aiokafka.errors import ConsumerStoppedError
from faust.transport.consumer import ConsumerThread as FaustConsumerThread
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams import headers, leaving
from streams.chunk import TP, Chunking, Record


class Fetched(NamedTuple):
    """What one fetch drained, and how far that brought each partition: past its records, and past what is none."""

    records: Mapping[TP, Sequence[Record]]
    positions: Mapping[TP, int]


NOTHING = Fetched({}, {})


class ConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """aiokafka in its own thread and loop, so that heartbeats go on while a chunk computes."""

    _fetch_task: asyncio.Task[Fetched] | None = None
    _interrupted = False

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        chunking: Chunking = self.app.chunking
        consumer._fetch_max_wait_ms = chunking.fetch_wait_ms
        consumer._fetch_min_bytes = chunking.fetch_min_bytes
        consumer._auto_offset_reset = "none"  # a position that Kafka does not have is never moved silently: streams/assignment.py
        if chunking.assignor is not None:
            consumer._partition_assignment_strategy = [chunking.assignor]
        consumer._isolation_level = "read_committed"  # what a producer's transaction took back never was an event
        return consumer

    async def on_start(self) -> None:
        headers.keep_raw_bytes()
        await super().on_start()
        chunking: Chunking = self.app.chunking
        pace_fetches(self._consumer._fetcher, chunking)
        self._consumer._fetcher._records = LeanResults(chunking.topics)

    async def on_thread_stop(self) -> None:
        await FaustConsumerThread.on_thread_stop(self)  # the method queue; the driver's own waits for aiokafka without a bound
        if self._consumer is not None:
            await leaving.stop(self._consumer)

    async def committed_offsets(self) -> dict[TP, int | None]:
        """Of all assigned partitions in one request; aiokafka's own way is one request a partition."""
        return dict(await self.call_thread(self._committed_offsets))

    async def _committed_offsets(self) -> dict[TP, int | None]:
        consumer = self._ensure_consumer()
        tps = list(consumer.assignment())
        known = await consumer._coordinator.fetch_committed_offsets(tps)
        return {TP(*tp): known[tp].offset if tp in known else None for tp in tps}

    def start_fetch(self, tps: set[TP], seconds: float, max_records: int) -> concurrent.futures.Future[Fetched]:
        """Called from the main thread; the result is what was drained, perhaps nothing."""
        self._interrupted = False
        return asyncio.run_coroutine_threadsafe(self._fetch(tps, seconds, max_records), self.thread_loop)

    def interrupt_fetch(self) -> None:
        """Let the fetch under way report now. Called from the main thread; harmless when there is none.

        The flag is for a fetch that was asked for and has not begun: in a rebalance it would wait for the new assignment, which
        waits for it.
        """
        self._interrupted = True
        self.thread_loop.call_soon_threadsafe(self._cancel_fetch)

    def _cancel_fetch(self) -> None:
        if self._fetch_task is not None:
            self._fetch_task.cancel()

    async def _fetch(self, tps: set[TP], seconds: float, max_records: int) -> Fetched:
        self._fetch_task = asyncio.ensure_future(self._drain(tps, seconds, max_records))
        if self._interrupted:
            self._fetch_task.cancel()
        try:
            return await self._fetch_task
        except asyncio.CancelledError:
            return NOTHING
        finally:
            self._fetch_task = None

    async def _drain(self, tps: set[TP], seconds: float, max_records: int) -> Fetched:
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError()
        with fetcher._subscriptions.fetch_context():
            drained = await fetcher.fetched_records(tps, timeout=seconds, max_records=max_records)
            return Fetched(drained, self._positions(tps))

    def _positions(self, tps: set[TP]) -> dict[TP, int]:
        """Read in the same step as the records were drained, so that every record below a position has been delivered."""
        subscription = self._ensure_consumer()._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return {}
        states = {tp: subscription.assignment.state_value(tp) for tp in tps}
        return {tp: state.position for tp, state in states.items() if state is not None and state.has_valid_position}

    def has_more(self, tp: TP) -> bool:
        """Whether the broker holds records of `tp` that were not fetched, as far as its last response told."""
        subscription = self._ensure_consumer()._subscription.subscription
        state = subscription and subscription.assignment and subscription.assignment.state_value(tp)
        if not state:
            return False
        if not state.has_valid_position or state.highwater is None:
            return True  # not heard of yet
        return bool(state.position < state.highwater)


class LeanResults(headers.Results):
    """The fetcher's results, made to yield the decoded records themselves for chunked topics.

    aiokafka wraps each in a ConsumerRecord dataclass, half of the time a record costs; what that adds (topic,
    partition, sizes) a chunk knows or does not need.
    """

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__()
        self._topics = topics

    def __setitem__(self, tp: Any, result: Any) -> None:
        records = getattr(result, "_partition_records", None)
        if records is not None and tp.topic in self._topics:
            records._consumer_record = as_it_is
        super().__setitem__(tp, result)


def as_it_is(tp: Any, record: Any) -> Any:
    return record


def pace_fetches(fetcher: Any, chunking: Chunking) -> None:
    """Short waits while data flow, long ones when all partitions are quiet.

    At 15 ms a worker with nothing to do would send 67 requests a second, each naming every partition. So after two
    empty waits a request may wait long and a single byte ends it: the first record after a silence is not delayed.
    While fetched records wait to be drained their partition is not in the next request, which would cost it a
    round: requests are held back for them, but briefly, or a partition we leave full would hold back its broker's
    others.
    """
    plan = fetcher._get_actions_per_node
    fetcher._prefetch_backoff = chunking.fetch_wait_ms / 1000
    quiet_seconds = 2 * chunking.fetch_wait_ms / 1000
    last_data = time.monotonic()

    def paced(assignment: Any) -> Any:
        nonlocal last_data
        now = time.monotonic()
        if fetcher._records:
            last_data = now
        quiet = now - last_data > quiet_seconds
        fetcher._fetch_max_wait_ms = chunking.idle_fetch_wait_ms if quiet else chunking.fetch_wait_ms
        fetcher._fetch_min_bytes = 1 if quiet else chunking.fetch_min_bytes
        return plan(assignment)

    fetcher._get_actions_per_node = paced
