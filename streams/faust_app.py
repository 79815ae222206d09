"""The Faust app around a chunk handler: settings, one agent a topic, services, guarded timers.

Started by running.py; `faust -A module:app worker` works too. What happens to a chunk is the handler's affair, how
chunks are cut and committed the transport's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import faust
import faust.streams
from faust.tables.manager import TableManager
from faust.transport import conductor

from streams.chunk import Chunking, Handler, Hooks, NoHooks
from streams.errors import CompiledStreamsMissing

logger = logging.getLogger(__name__)

# Only time commits: by count, small chunks commit all the time and each is awaited inline (p50 17 instead of 11 ms).
NEVER = 2**62
# A chunk's message waits in its stream only for the agent's turn; slots are the real bound.
STREAM_BUFFER_CHUNKS = 4
MAX_POLL_RECORDS = 8000
METADATA_MS = 30_000  # partitions added while workers run are read after this long, not after five minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """`bootstrap_servers`: one or several `host:port`, as a list or joined by commas."""

    app_id: str
    bootstrap_servers: str | Sequence[str]
    in_flight: int = 2
    max_chunk_events: int = 2000
    max_buffered_events: int = 16_000
    max_joined: int = 1
    pace_seconds: float = 0.0
    max_lead_seconds: Mapping[str, float] = field(default_factory=dict)
    drain_seconds: float = 5.0
    commit_interval_seconds: float = 1.0
    session_timeout_seconds: float = 30.0
    heartbeat_seconds: float = 3.0
    request_timeout_seconds: float = 90.0
    fetch_wait_ms: int = 15
    fetch_min_bytes: int = 100_000
    group_instance_id: str | None = None
    client_id: str = "tidegate"
    web_enabled: bool = False
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    credentials: Any = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # further settings of Faust, by its names

    def brokers(self) -> list[str]:
        servers = self.bootstrap_servers
        names = servers.split(",") if isinstance(servers, str) else servers
        return [f"microbatch://{name.strip()}" for name in names]


class NoTables(TableManager):  # type: ignore[misc]
    """Faust waits a second for tables to be declared before it subscribes; there are none."""

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class MicroBatchApp(faust.App):  # type: ignore[misc]
    """A Faust app whose declared topics arrive in chunks."""

    logger = logging.getLogger("faust.app")  # by default Faust names it after this module, and it is noisy
    chunking: Chunking
    first_services: Sequence[Any] = ()

    def on_init_dependencies(self) -> Iterable[Any]:
        """Our services start before Kafka's and stop after them, so a draining handler still has its Redis."""
        for service in self.first_services:
            service.beacon.reattach(self.beacon)
        return [*self.first_services, *super().on_init_dependencies()]

    def _create_directories(self) -> None:
        """There are no tables; a worker leaves nothing in the current directory."""

    async def on_start(self) -> None:
        assert_compiled_streams()
        await super().on_start()


def assert_compiled_streams() -> None:
    """Pure-Python streams acknowledge messages of past assignments (pitfall 17)."""
    if faust.streams._CStreamIterator is None or conductor.ConductorHandler is None:
        raise CompiledStreamsMissing


def create_app(
    settings: AppSettings,
    topics: Sequence[str],
    handler: Handler,
    hooks: Hooks | None = None,
    services: Sequence[Any] = (),
) -> MicroBatchApp:
    """An app whose `topics` reach `handler` in chunks; see streams.chunk for handler and hooks."""
    app = MicroBatchApp(settings.app_id, **faust_settings(settings))
    app.chunking = Chunking(
        topics=frozenset(topics),
        handler=handler,
        hooks=hooks or NoHooks(),
        in_flight=settings.in_flight,
        max_chunk_events=settings.max_chunk_events,
        max_buffered_events=settings.max_buffered_events,
        max_joined=settings.max_joined,
        pace_seconds=settings.pace_seconds,
        max_lead_seconds=settings.max_lead_seconds,
        drain_seconds=settings.drain_seconds,
        fetch_wait_ms=settings.fetch_wait_ms,
        fetch_min_bytes=settings.fetch_min_bytes,
    )
    app.first_services = tuple(services)
    for topic in topics:
        add_agent(app, topic)
    return app


def faust_settings(settings: AppSettings) -> dict[str, Any]:
    return {
        "broker": settings.brokers(),
        "broker_credentials": settings.credentials,
        "broker_client_id": settings.client_id,
        "broker_commit_interval": settings.commit_interval_seconds,
        "broker_commit_every": NEVER,
        "broker_max_poll_records": MAX_POLL_RECORDS,
        "broker_session_timeout": settings.session_timeout_seconds,
        "broker_heartbeat_interval": settings.heartbeat_seconds,
        "broker_request_timeout": settings.request_timeout_seconds,
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": METADATA_MS,
        "consumer_group_instance_id": settings.group_instance_id,
        "stream_buffer_maxsize": STREAM_BUFFER_CHUNKS,
        "stream_wait_empty": True,
        "table_standby_replicas": 0,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "worker_redirect_stdouts": False,
        "TableManager": "streams.faust_app:NoTables",
        "Worker": "streams.running:Worker",
        "web_enabled": settings.web_enabled,
        "web_host": settings.web_host,
        "web_bind": settings.web_host,
        "web_port": settings.web_port,
        **settings.extra,
    }


def add_agent(app: MicroBatchApp, name: str) -> None:
    """One agent a topic: it hands each ticket to a task of its own, and slots bound the tasks."""
    topic = app.topic(name, key_serializer="raw", value_type=None, value_serializer="raw", allow_empty=True)

    async def consume(stream: Any) -> None:
        async for ticket in stream:
            app.consumer.handle(ticket)

    app.agent(topic, name=f"chunks-of-{name}")(consume)


def add_timer(
    app: MicroBatchApp,
    seconds: float,
    function: Callable[[], Awaitable[None]],
    on_error: Callable[[Exception], None] | None = None,
) -> None:
    """Call `function` regularly; an exception is logged and counted by `on_error`, not fatal (pitfall 12)."""

    app.timer(seconds, name=getattr(function, "__name__", "timer"))(guarded(function, on_error))


def guarded(
    function: Callable[[], Awaitable[None]], on_error: Callable[[Exception], None] | None
) -> Callable[[], Awaitable[None]]:
    """`function`, which raises no more."""

    async def run() -> None:
        try:
            await function()
        except Exception as error:
            logger.warning("timer %s failed: %r", getattr(function, "__name__", "?"), error)
            if on_error is not None:
                on_error(error)

    return run
