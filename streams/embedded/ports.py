"""Free loopback ports that stay free while their server is down."""

from __future__ import annotations

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"

# Below Linux' usual ephemeral range (32768 and up), and that is the point: a port from bind(0) may be taken by any
# outgoing connection while its server restarts, even by a client's own retry, which then is connected to itself.
LOWEST, HIGHEST = 15_000, 32_000
TRIES = 200


def free_ports(count: int) -> list[int]:
    """`count` different ports on which nobody listens on loopback now."""
    found: list[int] = []
    choices = random.SystemRandom().sample(range(LOWEST, HIGHEST), TRIES)
    while len(found) < count:
        port = choices.pop()
        if _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT does not hinder a server
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def accepts(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False
