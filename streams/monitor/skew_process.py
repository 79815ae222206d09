"""Runs `tidegate skew` as a child of the monitor: what it takes of memory and processor stays apart, and so do its failures."""

import asyncio
import contextlib
import logging
import sys

import msgspec

from streams.monitor.records import SkewReport

log = logging.getLogger(__name__)

NICE = 10  # half-way down: whatever else wants the processor goes first
TIMEOUT_SECONDS = 1_800.0
GRACE_SECONDS = 10.0


async def run_skew(
    pipeline: str, last: str = "1h", share: float | None = None, timeout_seconds: float = TIMEOUT_SECONDS
) -> SkewReport | None:
    """The report on a pipeline, named as on the command line; None, and a line in the log, where there is none in time.

    The environment says the addresses. Raises nothing but CancelledError, and leaves no process behind.
    """
    command = [sys.executable, "-m", "streams.cli", "skew", pipeline, "--last", last, "--json", "--nice", str(NICE)]
    if share is not None:
        command += ["--share", str(share)]
    try:
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    except OSError as error:
        log.warning("the comparison with offline features could not be started: %s", error)
        return None
    try:
        out, told = await asyncio.wait_for(child.communicate(), timeout_seconds)
    except TimeoutError:
        log.warning("the comparison with offline features took more than %.0f s and was given up", timeout_seconds)
        return None
    finally:
        await _end(child)
    if child.returncode == 0:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(out, type=SkewReport)
    lines = told.decode(errors="replace").strip().splitlines()
    log.warning(
        "the comparison with offline features failed (%s): %s", child.returncode, lines[-1] if lines else "it said nothing"
    )
    return None


async def _end(child: asyncio.subprocess.Process) -> None:
    """Nothing where it has ended; else by a signal, and by force where it does not heed that."""
    if child.returncode is None:
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), GRACE_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()
