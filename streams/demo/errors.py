"""Errors of the demo.

DemoError (a StreamError: the command line tells it without a traceback)
├── DriftRefused        a --drift cannot be read, or names what the story does not have
├── PreparationFailed   history or models could not be made; the last lines of the log
└── NoWorkersLeft       workers did not start, or the last of them ended by itself
"""

from streams.errors import StreamError


class DemoError(StreamError):
    """The demo cannot go on; the text says what mends it."""


class DriftRefused(DemoError):
    """A --drift cannot be read, or names what the story does not have."""


class PreparationFailed(DemoError):
    """History or models could not be made."""


class NoWorkersLeft(DemoError):
    """Workers did not start, or the last of them ended by itself."""
