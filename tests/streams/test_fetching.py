"""A fetch can be interrupted at any moment, and then reports at once."""

import asyncio
from collections.abc import Callable

import pytest

from streams.chunk import TP
from streams.fetching import NOTHING, ConsumerThread, Fetched

TPS = {TP("topic", 0)}


class Waiting(ConsumerThread):  # type: ignore[misc]
    """A consumer's thread whose fetches wait for an assignment that never comes, as in a rebalance; its loop is the test's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._thread_loop = loop
        self.waits = asyncio.Event()

    @property
    def thread_loop(self) -> asyncio.AbstractEventLoop:
        return self._thread_loop

    async def _drain(self, tps: set[TP], seconds: float, max_records: int) -> Fetched:
        self.waits.set()
        await asyncio.get_running_loop().create_future()
        return NOTHING


async def interrupted(when: Callable[[Waiting], object]) -> Fetched:
    thread = Waiting(asyncio.get_running_loop())
    fetch = thread.start_fetch(TPS, 1.0, 10)
    if asyncio.iscoroutine(waiting := when(thread)):
        await waiting
    thread.interrupt_fetch()
    return await asyncio.wait_for(asyncio.wrap_future(fetch), 5)


async def until_it_waits(thread: Waiting) -> None:
    await thread.waits.wait()


@pytest.mark.parametrize("when", [lambda thread: None, until_it_waits], ids=["asked for and not begun", "waiting"])
def test_an_interrupted_fetch_reports_at_once(when: Callable[[Waiting], object]) -> None:
    """Not begun: the revocation waited for the fetch, and the fetch for the assignment after the revocation, for ever."""
    assert asyncio.run(interrupted(when)) == NOTHING


def test_a_fetch_after_an_interruption_is_not_interrupted() -> None:
    async def again() -> bool:
        thread = Waiting(asyncio.get_running_loop())
        thread.interrupt_fetch()
        fetch = asyncio.wrap_future(thread.start_fetch(TPS, 1.0, 10))
        await until_it_waits(thread)
        waits = not fetch.done()
        thread.interrupt_fetch()
        await fetch
        return waits

    assert asyncio.run(again())
