"""Calls that are tried again because Redis was away: the pauses between tries, and the word whether it is away still.

Which errors pass is redis_errors.py's, what is sent again redis_client.py's. A call that is answered at once costs two
comparisons here.
"""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0


def nobody_asks(_: bool) -> None:
    """For who does not ask whether Redis is away."""


class Tries:
    """The calls of one client. `on_retry` is called before each pause.

    `on_away` is told True by the first call that is to be tried again, and False by the first that is answered when no other
    waits to be: a node of a cluster that answers says nothing of one that does not. A call that is given up answers nothing.
    """

    def __init__(self, on_retry: Callable[[], None], on_away: Callable[[bool], None]) -> None:
        self.on_retry, self._on_away = on_retry, on_away
        self._waiting, self._away = 0, False

    def of_a_call(self) -> "TriesOfCall":
        return TriesOfCall(self)

    def begins_to_wait(self) -> None:
        self._waiting += 1
        if not self._away:
            self._away = True
            self._on_away(True)

    def ended(self, waited: bool, answered: bool) -> None:
        self._waiting -= waited
        if self._away and answered and not self._waiting:
            self._away = False
            self._on_away(False)


class TriesOfCall:
    """A context around one call: `pause` after each try that Redis did not answer."""

    __slots__ = ("_of", "_pause_seconds", "_waited")

    def __init__(self, of: Tries) -> None:
        self._of, self._waited, self._pause_seconds = of, False, FIRST_PAUSE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._of.ended(self._waited, answered=kind is None)

    async def pause(self, away: Exception) -> None:
        """Says so and waits, longer each time."""
        if not self._waited:
            self._waited = True
            self._of.begins_to_wait()
        log.warning(
            "Redis is away (%s); trying again in %.2f s. Lasting? Check REDIS_URL, or run: tidegate doctor",
            away,
            self._pause_seconds,
        )
        self._of.on_retry()
        await asyncio.sleep(self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
