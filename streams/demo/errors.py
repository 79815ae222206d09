"""Errors of the demo.

DemoError (a StreamError: the command line tells it without a traceback)
├── PreparationFailed   history or models could not be made; the last lines of the log
└── NoWorkersLeft       workers did not start, or the last of them ended by itself
"""

from streams.errors import StreamError


class DemoError(StreamError):
    """The demo cannot go on; the text says what mends it."""


class PreparationFailed(DemoError):
    """History or models could not be made."""


class NoWorkersLeft(DemoError):
    """Workers did not start, or the last of them ended by itself."""
