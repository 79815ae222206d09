"""The app around the transport: settings, the compiled streams, end offsets and seeks that do not come."""

from __future__ import annotations

import asyncio

import faust.streams
import pytest

from streams.chunk import TP, Chunk
from streams.errors import AssignmentTimeout, CompiledStreamsMissing, HandlerCancelled
from streams.faust_app import NEVER, AppSettings, MicroBatchApp, assert_compiled_streams, create_app
from streams.transport import Consumer, Transport
from tests.streams.records import chunk


async def ignore(chunk: Chunk) -> None:
    return None


@pytest.fixture
def app(loop: asyncio.AbstractEventLoop) -> MicroBatchApp:
    return create_app(AppSettings(app_id="a", bootstrap_servers="one:9092, two:9093"), ["t", "u"], ignore)


def test_several_brokers_by_the_entry_point(app: MicroBatchApp) -> None:
    assert isinstance(app.transport, Transport)
    assert [(url.host, url.port) for url in app.transport.url] == [("one", 9092), ("two", 9093)]


def test_one_agent_a_topic_and_commits_by_time_alone(app: MicroBatchApp) -> None:
    assert [agent.channel.get_topic_name() for agent in app.agents.values()] == ["t", "u"]
    assert app.conf.broker_commit_every == NEVER
    assert app.conf.broker_commit_interval == 1.0
    assert app.conf.stream_wait_empty


def test_python_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pitfall 17."""
    assert_compiled_streams()
    monkeypatch.setattr(faust.streams, "_CStreamIterator", None)
    with pytest.raises(CompiledStreamsMissing, match="NO_CYTHON"):
        assert_compiled_streams()


def test_an_unknown_end_offset_is_no_error(app: MicroBatchApp) -> None:
    """Pitfall 8: asked during a rebalance, or before the consumer runs."""
    assert app.consumer.highwater(TP("t", 0)) is None


def test_a_chunk_is_no_gap_and_full_buffers_change_nothing(app: MicroBatchApp, loop: asyncio.AbstractEventLoop) -> None:
    """Pitfalls 1 and 4."""
    consumer: Consumer = app.consumer
    consumer._active_partitions = {TP("t", 0)}
    loop.run_until_complete(consumer._add_gap(TP("t", 0), 1, 999))
    consumer.on_buffer_full(TP("t", 0))
    assert not consumer._gap
    assert consumer._active_partitions == {TP("t", 0)}


def test_acknowledgements_do_not_make_offsets_committable(app: MicroBatchApp) -> None:
    """Pitfalls 1 and 2: compiled streams note each chunk's last offset; that is dropped."""
    consumer: Consumer = app.consumer
    consumer._acked[TP("t", 0)].append(99)
    consumer._acked_index[TP("t", 0)].add(99)
    assert consumer._filter_committable_offsets([TP("t", 0)]) == {}
    pending = consumer._filter_tps_with_pending_acks()
    assert consumer._filter_committable_offsets(pending) == {}
    assert not consumer._acked[TP("t", 0)]
    assert not consumer._acked_index[TP("t", 0)]


def test_start_positions_that_do_not_come_crash_the_app(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust's own time limit would leave an assigned, idle worker. Kafka's part is bounded; the store's is not."""
    app = create_app(AppSettings(app_id="a", bootstrap_servers="b:1", request_timeout_seconds=0.01), ["t"], ignore)
    crashed: list[BaseException] = []

    async def crash(reason: BaseException) -> None:
        crashed.append(reason)

    class Silent:
        async def committed_offsets(self) -> None:
            await asyncio.Event().wait()

    async def assigned() -> None:
        await app.consumer.perform_seek()
        await app.consumer._assigning

    monkeypatch.setattr(app, "crash", crash)
    monkeypatch.setattr(app.consumer, "_thread", Silent())
    loop.run_until_complete(assigned())
    assert isinstance(crashed[0], AssignmentTimeout)


@pytest.mark.parametrize(
    ("raised", "crash"),
    [(ValueError("broken"), ValueError), (asyncio.CancelledError(), HandlerCancelled), (TimeoutError(), TimeoutError)],
)
def test_whatever_a_handler_raises_ends_the_worker_and_marks_nothing_done(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, raised: BaseException, crash: type[BaseException]
) -> None:
    """Pitfall 3. A cancellation from below would otherwise leave the partition waiting for ever, without a word."""

    async def handler(*chunks: Chunk) -> None:
        raise raised

    app = create_app(AppSettings(app_id="a", bootstrap_servers="b:1"), ["t"], handler)
    consumer: Consumer = app.consumer
    crashed: list[BaseException] = []

    async def note(reason: BaseException) -> None:
        crashed.append(reason)

    async def handle() -> None:
        ticket = consumer.progress.issue(chunk([b"x"], "t", 1), chunk([b"x"], "t"))
        consumer.handle(ticket)
        assert ticket.task is not None
        await ticket.task

    monkeypatch.setattr(app, "crash", note)
    loop.run_until_complete(handle())
    assert [type(error) for error in crashed] == [crash]
    if crash is HandlerCancelled:
        assert "A chunk of t[0, 1] was cancelled" in str(crashed[0])
    assert consumer.progress.committable([TP("t", 0)]) == {}
