"""Ctrl-C, SIGTERM and a closed terminal end the demo in order: before the replay by an exception, from then on by an event."""

import signal
import threading
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """`gently` says that somebody looks at `asked`; until then a signal raises KeyboardInterrupt.

    Only the first signal does anything: a second Ctrl-C must not cut short the stopping of the workers, which is bounded.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.gently = False
        for number in ENDING:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked.is_set():
            return
        self.asked.set()
        if not self.gently:
            raise KeyboardInterrupt
