"""`tidegate lag` as a process: looks at a steady pace until a signal and serves what it saw; or once or twice, and ends."""

import asyncio
import signal
from collections.abc import Callable

from monitors.lag import Status
from monitors.lag_metrics import registry_of
from monitors.lag_snapshot import Snapshot
from streams.errors import TopicError
from streams.lag.watch import Watcher
from streams.web import Readiness, WebServer

SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(
    watcher: Watcher,
    interval_seconds: float,
    address: tuple[str, int],
    started: Callable[[int], None],
    seen: Callable[[Snapshot], None],
) -> None:
    """Until SIGTERM or Ctrl-C. Pages are at `address`, a host and a port; `started` is told the port, `seen` every snapshot."""
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    assert me is not None
    for number in SIGNALS:
        loop.add_signal_handler(number, me.cancel)
    readiness = Readiness()
    readiness.wait_for("kafka", "no look yet")
    web = WebServer(*address, registry_of(lambda: watcher.snapshot), readiness)
    try:
        started(web.port)
        while True:
            next_look = loop.time() + interval_seconds
            seen(await watcher.look())
            readiness.tell("kafka")(watcher.error)
            await asyncio.sleep(max(0.0, next_look - loop.time()))
    except asyncio.CancelledError:
        pass  # a signal; there is nothing to save
    finally:
        web.close()
        await watcher.close()


async def once(watcher: Watcher, interval_seconds: float) -> Snapshot:
    """One look, and another after the interval where the first leaves something open. TopicError where Kafka does not answer."""
    try:
        found = await _answered(watcher)
        if any(one.status is Status.UNKNOWN and one.lag_records for one in found.partitions):
            await asyncio.sleep(interval_seconds)
            found = await _answered(watcher, interval_seconds)
        return found
    finally:
        await watcher.close()


async def _answered(watcher: Watcher, hasty_seconds: float | None = None) -> Snapshot:
    found = await watcher.look(hasty_seconds)
    if watcher.error is not None:
        raise TopicError(watcher.error)
    return found
