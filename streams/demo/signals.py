"""Ctrl-C, SIGTERM and a closed terminal end the demo in order: before the replay by an exception, from then on by an event."""

import os
import signal
import threading
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 0.02


class Ending:
    """`gently` says that somebody looks at `asked`; until then a signal raises KeyboardInterrupt.

    An exception in the midst of an import may leave Python's lock of all imports held, and other threads waiting for good: a
    signal that comes then comes again a moment later. Only the first signal does anything: a second Ctrl-C must not cut short
    the stopping of the workers, which is bounded.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.gently = False
        for number in ENDING:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked.is_set():
            return
        if not self.gently and _imports(frame):
            again = threading.Timer(AGAIN_SECONDS, os.kill, [os.getpid(), number])
            again.daemon = True
            again.start()
            return
        self.asked.set()
        if not self.gently:
            raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    """Whether the code that a signal interrupts is part of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
