"""Which of Redis' errors pass by themselves or by an operator's hand, so that the same call may succeed later."""

from typing import Any

from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

# What passes by itself or by an operator's hand: the server restarts, fails over, loads its file, is full, lacks replicas or runs
# somebody's long script. Anything else is raised. A server that refuses a script's writes does so at the first of them.
TRANSIENT = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)
_WORDS = ("BUSY ", "NOREPLICAS ", "MASTERDOWN ")  # those that have no class of their own in every redis-py


def passes(answer: Any) -> bool:
    """Whether an answer is an error that another try may not meet."""
    return isinstance(answer, TRANSIENT) or (isinstance(answer, ResponseError) and str(answer).startswith(_WORDS))
