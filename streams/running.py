"""Run an app as this process's worker: signals, a bounded shutdown, an exit code, one sentence on a crash."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from typing import Any, NoReturn

import faust

# After the drain a worker closes connections and leaves its group. Docker kills 10 s after SIGTERM.
CLOSE_SECONDS = 4.0
logger = logging.getLogger(__name__)
NOISY = ("faust", "mode", "aiokafka")


class Worker(faust.Worker):  # type: ignore[misc]
    """Faust's worker, which leaves logging alone and ends within drain and close time (pitfall 18)."""

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        options.setdefault("override_logging", False)
        super().__init__(app, *services, **options)
        self.spinner = None
        self._deadline: threading.Timer | None = None

    def _schedule_shutdown(self, signal: Any) -> None:
        self._arm()
        super()._schedule_shutdown(signal)

    def on_worker_shutdown(self) -> None:
        self._arm()
        super().on_worker_shutdown()

    def _arm(self) -> None:
        if self._deadline is None:
            seconds = self.app.chunking.drain_seconds + CLOSE_SECONDS
            self._deadline = threading.Timer(seconds, give_up, [seconds])
            self._deadline.daemon = True
            self._deadline.start()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    async def _sentinel_task(self) -> None:
        """Faust sleeps a second here, for nothing that we have."""

    def carp(self, msg: str) -> None:
        """No banners."""

    def execute_from_commandline(self) -> NoReturn:
        """For `faust -A streams.app worker`, which would end on a crash without a word."""
        sys.exit(told(self))

    def run(self) -> None:
        """Until a signal; raises what crashed the app."""
        start = asyncio.ensure_future(self.start(), loop=self.loop)
        self._starting_fut = start
        try:
            self.loop.run_until_complete(start)
        except asyncio.CancelledError:
            pass
        finally:
            self.on_worker_shutdown()
            self.stop_and_shutdown()
            self._disarm()


def give_up(seconds: float) -> NoReturn:
    """Nothing uncommitted is lost: the next worker reads it again."""
    if logger.isEnabledFor(logging.INFO):
        faulthandler.dump_traceback()
    print(f"The worker did not stop within {seconds:.0f} s and ends now.", file=sys.stderr, flush=True)
    os._exit(1)


def run(app: Any, loglevel: str | int = "WARNING") -> int:
    """Run until SIGTERM or SIGINT (0) or a crash (1, with its message on stderr)."""
    set_levels(loglevel)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return told(Worker(app, loop=loop, quiet=True))


def told(worker: Worker) -> int:
    """Runs the worker; its exit code, after one sentence on a crash."""
    try:
        worker.run()
    except Exception as error:
        print(f"The worker stopped: {error or repr(error)}", file=sys.stderr, flush=True)
        return 1
    return 0


def set_levels(loglevel: str | int) -> None:
    """Faust logs a crash several times with stack traces; at the default level one sentence is enough."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    level = logging.getLevelName(loglevel.upper()) if isinstance(loglevel, str) else loglevel
    logging.getLogger("streams").setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(level if level < logging.WARNING else logging.CRITICAL + 1)
