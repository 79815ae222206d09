"""What can go wrong with the embedded stack.

EmbeddedError            anything below; its text is for the user and names the remedy
├── MissingPart          a program or a package is not there: what to install, or what to set instead
├── FetchFailed          a jar could not be downloaded
├── JarMismatch          a jar is not the one the lock names; it is never run
├── ServerFailed         a server of ours ended, or did not answer in time: the last lines of its log
└── NoAnswer             a server somebody else runs (an address from the environment) does not answer
"""

from __future__ import annotations

from pathlib import Path

LOG_LINES_SHOWN = 12


class EmbeddedError(RuntimeError):
    """The embedded stack cannot do what was asked; the text says what mends it."""


class MissingPart(EmbeddedError):
    """A program or a package is not there."""


class FetchFailed(EmbeddedError):
    """A jar could not be downloaded."""


class JarMismatch(EmbeddedError):
    """A jar's SHA-256 is not the lock's."""


class ServerFailed(EmbeddedError):
    """A server of ours ended or did not answer; carries the last lines of its log."""

    def __init__(self, what: str, log: Path, remedy: str) -> None:
        self.tail = last_lines(log)
        shown = "".join(f"\n  | {line}" for line in self.tail) or "\n  | (the log is empty)"
        super().__init__(f"{what}. {remedy}\nThe last lines of its log:{shown}")


class NoAnswer(EmbeddedError):
    """A server named by the environment does not answer."""


def last_lines(log: Path, count: int = LOG_LINES_SHOWN) -> list[str]:
    """The last lines of a log, without Java's stack frames, which would push out the cause above them.

    None where there is no log, so that an error about an error cannot happen.
    """
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if not line.startswith("\tat ")][-count:]
