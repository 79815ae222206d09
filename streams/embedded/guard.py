"""The guardian: a tiny process between us and one server, so that nothing is left behind however we end.

It starts the server, tells its process id and its exit code on stdout, and watches stdin, a pipe whose other end
only the owner holds. When the pipe closes (the owner closed it, or was killed by any signal) or the owner's process
is gone (a forked child may still hold the pipe open), the guardian kills the server's process group and removes the
data directory. The other way round, should the guardian be killed, the kernel kills the server (PR_SET_PDEATHSIG,
which is sound here because the guardian has a single thread that lives as long as it does).

It runs as a script with `python -I -S`, imports only the standard library, and knows nothing of Kafka or Redis.

    guard.py OWNER_PID LOG_FILE REMOVE_DIR|"" COMMAND...
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

KEEP = b"k"  # the owner's word before it closes the pipe: leave the data where it is
OWNER_POLL_SECONDS = 0.5  # how late a dead owner is noticed when a forked child still holds the pipe
GRACE_SECONDS = 10.0  # for a server whose data is kept; one whose data is thrown away is killed at once
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    owner, log, remove, command = int(arguments[0]), arguments[1], arguments[2], arguments[3:]
    wake = _wake_on_signals()
    server = _spawn(command, log)
    if server is None:
        return
    _tell(f"pid {server.pid}")
    word = _watch(server, owner, wake)
    _end(server, gently=not remove)
    if remove and word != KEEP:
        shutil.rmtree(remove, ignore_errors=True)


def _wake_on_signals() -> int:
    """A readable end that wakes select() on SIGCHLD.

    Whoever ends us by SIGTERM or Ctrl-C ends the owner too, and the owner decides; the handlers do nothing rather
    than SIG_IGN, which a JVM would inherit and then never stop on SIGTERM.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def _spawn(command: list[str], log: str) -> subprocess.Popen[bytes] | None:
    try:
        with open(log, "ab") as output:  # fails where the owner gave up, and removed its directory, before we came this far
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
    except OSError as error:
        _tell(f"failed {error}")
        return None


def _die_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    libc, guardian = ctypes.CDLL(None), os.getpid()

    def ask_the_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guardian:  # it died between fork and prctl
            os._exit(1)

    return ask_the_kernel


def _watch(server: subprocess.Popen[bytes], owner: int, wake: int) -> bytes:
    """Waits for the owner's word: KEEP, or nothing when it closed the pipe or died. Tells the server's exit."""
    told = False
    while True:
        ready, _, _ = select.select([0, wake], [], [], OWNER_POLL_SECONDS)
        if wake in ready:
            os.read(wake, 4096)
        if not told and server.poll() is not None:
            _kill_group(server.pid, signal.SIGKILL)  # what the server forked, such as a rewrite of the AOF
            _tell(f"exit {server.returncode}")
            told = True
        if 0 in ready:
            return os.read(0, 1)
        if os.getppid() != owner:
            return b""


def _end(server: subprocess.Popen[bytes], *, gently: bool) -> None:
    if server.poll() is not None:
        return
    if gently:
        _kill_group(server.pid, signal.SIGTERM)
        _kill_group(server.pid, signal.SIGCONT)  # it may be paused
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_SECONDS)
            return
    _kill_group(server.pid, signal.SIGKILL)
    server.wait()


def _kill_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # the owner is gone; the pipe on stdin says so too
        os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
