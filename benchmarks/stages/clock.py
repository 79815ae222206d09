"""A clock for steps that contain each other: each is charged with the CPU time of its thread, less that of the steps within."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from time import thread_time
from typing import Any


class StageClock:
    """Seconds by stage. For one task at a time: a step that waits is charged with what its event loop does meanwhile.

    >>> clock = StageClock()
    >>> with clock.within("outer"), clock.within("inner"):
    ...     pass
    >>> sorted(clock.seconds)
    ['inner', 'outer']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = thread_time()

    @contextmanager
    def within(self, stage: str) -> Iterator[None]:
        self._charge()
        self._open.append(stage)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def _charge(self) -> None:
        now = thread_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def timing(self, owner: Any, name: str, stage: str) -> Iterator[None]:
        """While it lasts, calls of ``owner.name`` (a module's function or a class's method) are charged to the stage."""
        plain: Callable[..., Any] = getattr(owner, name)

        @wraps(plain)
        def timed(*args: Any, **named: Any) -> Any:
            with self.within(stage):
                return plain(*args, **named)

        @wraps(plain)
        async def awaited(*args: Any, **named: Any) -> Any:
            with self.within(stage):
                return await plain(*args, **named)

        setattr(owner, name, awaited if inspect.iscoroutinefunction(plain) else timed)
        try:
            yield
        finally:
            setattr(owner, name, plain)
