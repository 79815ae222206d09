"""Whether a consumer group keeps up with one partition: a verdict on what was seen of it, by Burrow's rules, as pure functions.

Reading Kafka is streams/lag's. Burrow (LinkedIn) reads every commit as it is made and judges the last ten of them, so that a
group that commits seldom is looked at for longer, and no threshold of records is needed; its rules are in its wiki under
"Consumer Lag Evaluation Rules". Here commits are seen by looking every few seconds. What differs from Burrow, and why:

- A commit of the same offset cannot be told from none. Burrow says `stopped` where nothing is committed and `stalled` where the
  same offset is committed again; here it is `stopped` where no member of the group has the partition, `stalled` where one has.
- How long an offset must stand is `patience`: Burrow compares with the whole time that the last ten commits took.
- `falling_behind` compares the halves of the ten: a look meets a group at any moment between two of its commits, so that lag
  goes up and down by a commit's worth of records, and Burrow's "grew from each to the next" would not be found.

docs/lag.md has the truth table; a test holds it against tests/monitors/lag_table.py.
"""

import enum
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

RING = 10  # commits remembered of a partition, Burrow's default
WINDOW_SECONDS = 60.0  # an offset that stands for less is no stall: ten looks; twelve times the 5 s that clients commit after
SHORTEST_RETENTION = 0.001  # seconds; Kafka's unit is the millisecond, and a topic may say 0 of them
WAITS = 2  # an offset may stand for so many times the longest wait that the ring has


class Status(enum.Enum):
    """A partition's state, the worse the later. ``code`` is what Prometheus gets."""

    UNKNOWN = "unknown"
    OK = "ok"
    FALLING_BEHIND = "falling_behind"
    REWOUND = "rewound"
    STALLED = "stalled"
    STOPPED = "stopped"

    @property
    def code(self) -> int:
        return CODES[self]


CODES = {status: code for code, status in enumerate(Status, start=-1)}
HALTED = frozenset({Status.STALLED, Status.STOPPED})


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one partition. ``lag`` is in records, 0 where nothing is left to read; ``committed`` None: no commit."""

    at: float  # seconds since the epoch
    committed: int | None
    lag: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A committed offset as looks saw it: from when until when, with what lag."""

    offset: int
    since: float
    until: float
    lag_first: int
    lag_last: int
    cleared: bool  # a look found nothing left to read
    waiting_since: float | None  # from when on something was left to read; None while nothing is

    @property
    def waited_seconds(self) -> float:
        """For how long something to read was seen while the offset stood."""
        return 0.0 if self.waiting_since is None else self.until - self.waiting_since


History = tuple[Commit, ...]  # the newest last, RING at most


def observe(history: History, seen: Observation) -> History:
    """The history with one more look. A partition without a commit has none."""
    if seen.committed is None:
        return ()
    waiting = seen.at if seen.lag > 0 else None
    if not history or history[-1].offset != seen.committed:
        new = Commit(seen.committed, seen.at, seen.at, seen.lag, seen.lag, waiting is None, waiting)
        return (*_ended(history, seen.at), new)[-RING:]
    last = history[-1]
    if waiting is not None and last.waiting_since is not None:
        waiting = last.waiting_since
    cleared = last.cleared or waiting is None
    return (*history[:-1], replace(last, until=seen.at, lag_last=seen.lag, cleared=cleared, waiting_since=waiting))


def _ended(history: History, at: float) -> History:
    """The newest commit stood until the next was seen; the look before may be long ago."""
    return (*history[:-1], replace(history[-1], until=at)) if history else ()


def history_of(observations: Iterable[Observation]) -> History:
    """What is remembered of a sequence of looks."""
    history: History = ()
    for seen in observations:
        history = observe(history, seen)
    return history


def patience(history: History, window_seconds: float = WINDOW_SECONDS) -> float:
    """How long the newest offset may stand with something to read: seconds.

    At least the window; for a group that commits seldom, twice the longest that the ring's earlier commits were waited for.
    Time in which nothing was left to read does not count: on a quiet topic a healthy group commits once an hour.
    """
    return max(window_seconds, WAITS * max((commit.waited_seconds for commit in history[:-1]), default=0.0))


def verdict(history: History, *, owned: bool, window_seconds: float = WINDOW_SECONDS) -> Status:
    """The partition's status. ``owned`` says whether a member of the group has the partition (True where that is not known).

    >>> looks = [Observation(at=6.0 * n, committed=5, lag=n) for n in range(1, 12)]
    >>> verdict(history_of(looks), owned=True), verdict(history_of(looks[:5]), owned=True)
    (<Status.STALLED: 'stalled'>, <Status.UNKNOWN: 'unknown'>)
    """
    if not history:
        return Status.UNKNOWN
    newest = history[-1]
    if newest.lag_last == 0:
        return Status.OK
    if newest.waited_seconds >= patience(history, window_seconds):
        return Status.STALLED if owned else Status.STOPPED
    recent = since_rewind(history)
    if any(commit.cleared for commit in recent):
        return Status.OK
    if newest.offset < max(commit.offset for commit in history):
        return Status.REWOUND
    return _moving([commit.lag_first for commit in recent])


def since_rewind(history: History) -> History:
    """The commits from the last rewind on: lag of zero before it says nothing of the records that are read again.

    Burrow judges likewise since 2021 (its pull request 716). A group that is back where it was has not rewound.
    """
    falls = [i for i in range(1, len(history)) if history[i].offset < history[i - 1].offset]
    if not falls or history[-1].offset >= max(commit.offset for commit in history):
        return history
    return history[falls[-1] :]


def _moving(lags: list[int]) -> Status:
    """Of a group that commits and is never through: its lags, each as seen first after a commit."""
    if len(lags) < RING:
        return Status.OK if any(later < before for before, later in itertools.pairwise(lags)) else Status.UNKNOWN
    half = RING // 2
    return Status.FALLING_BEHIND if min(lags[half:]) > max(lags[:half]) else Status.OK


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a group works through a partition. None: cannot be told yet; of ``drain_seconds`` also: it is not draining."""

    records_per_second: float | None
    drain_seconds: float | None
    head_of_line_seconds: float


def pace(history: History, window_seconds: float = WINDOW_SECONDS) -> Pace:
    """Measured over the window, or since a rewind, or since the first look; of no commit at all, nothing is known."""
    recent = since_rewind(history)
    if not recent:
        return Pace(None, None, 0.0)
    newest = recent[-1]
    begin = next(commit for commit in recent if commit.until >= newest.until - window_seconds)
    inside = begin.since >= newest.until - window_seconds
    seconds = newest.until - (begin.since if inside else newest.until - window_seconds)
    if seconds <= 0:
        return Pace(None, 0.0 if newest.lag_last == 0 else None, newest.waited_seconds)
    lag_before = begin.lag_first if inside else begin.lag_last
    shrinks = (lag_before - newest.lag_last) / seconds
    drain = newest.lag_last / shrinks if shrinks > 0 else None
    return Pace((newest.offset - begin.offset) / seconds, 0.0 if newest.lag_last == 0 else drain, newest.waited_seconds)


def age_seconds(now: float, timestamp: float) -> float:
    """How long ago a record was appended; 0 for one from the future (a producer's clock, or this machine's, is wrong)."""
    return max(0.0, now - timestamp)


def retention_used(lag_seconds: float | None, lost_records: int, retention_seconds: float | None) -> float | None:
    """The share of its time until deletion that the oldest unread record has lived through; 1 at least where some were deleted.

    ``retention_seconds`` is infinite where nothing is deleted, None where that is not by age (then None, but for lost records).
    """
    used = None if lag_seconds is None or retention_seconds is None else lag_seconds / max(retention_seconds, SHORTEST_RETENTION)
    return max(1.0, used or 0.0) if lost_records else used
