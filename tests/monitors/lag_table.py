"""The truth table of lag verdicts: what was seen, look after look, what it is called, and why. docs/lag.md has the same."""

from collections.abc import Iterator
from dataclasses import dataclass

from monitors.lag import Observation, Status

INTERVAL_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Row:
    """``looks`` are "committed/end" every 6 s, `-` without a commit, "5/9 x3" thrice; ``owned``: a member has the partition."""

    name: str
    looks: str
    owned: bool
    status: Status
    reason: str

    def observations(self) -> list[Observation]:
        return [
            Observation(INTERVAL_SECONDS * n, committed, 0 if committed is None else end - committed)
            for n, (committed, end) in enumerate(_looks(self.looks), start=1)
        ]

    def markdown(self) -> str:
        """The row as docs/lag.md has it."""
        return f"| {self.name} | {self.looks} | {'yes' if self.owned else 'no'} | `{self.status.value}` | {self.reason} |"


def _looks(text: str) -> Iterator[tuple[int | None, int]]:
    for part in text.split(", "):
        look, _, times = part.partition(" x")
        committed, end = look.split("/")
        for _ in range(int(times or 1)):
            yield None if committed == "-" else int(committed), int(end)


U, OK, BEHIND, REWOUND, STALLED, STOPPED = Status
ROWS = (
    Row("never committed", "-/9 x20", True, U, "what it will read is its own setting, which Kafka does not know"),
    Row("one look, lag", "5/9", True, U, "one look cannot tell who moves"),
    Row("one look, caught up", "9/9", True, OK, "nothing is left to read"),
    Row("idle topic", "9/9 x20", True, OK, "a group need not commit where there is nothing to commit"),
    Row("idle topic, nobody there", "9/9 x20", False, OK, "nothing waits for anybody"),
    Row("quiet topic, a record comes", "9/9 x20, 9/10", True, OK, "it was caught up a moment ago"),
    Row("and waits 54 s", "9/9 x20, 9/10 x10", True, OK, "less than a window: the next commit may be under way"),
    Row("and waits 60 s", "9/9 x20, 9/10 x11", True, STALLED, "zero lag before that is too old to excuse it"),
    Row("a consumer hangs, or is paused", "5/20 x11", True, STALLED, "a member has the partition, and it does not move"),
    Row("nobody consumes", "5/20 x11", False, STOPPED, "no member has the partition: nothing will move it"),
    Row("looked at for 54 s", "5/20 x10", False, U, "less than a window, and never caught up in it"),
    Row(
        "records come, nothing is committed",
        "5/10, 5/20, 5/30, 5/40, 5/50, 5/60, 5/70, 5/80, 5/90, 5/100, 5/110",
        True,
        STALLED,
        "growing lag is no movement",
    ),
    Row("partitions assigned by hand", "5/50, 9/52, 12/53", False, OK, "without members, but it moves and its lag shrinks"),
    Row(
        "commits once a minute",
        "10/60 x10, 30/65 x10, 50/75 x10, 70/90 x15",
        True,
        OK,
        "stands for 84 s, but has let 60 s pass between commits before: it may take twice that",
    ),
    Row(
        "commits once a minute, then not",
        "10/60 x10, 30/65 x10, 50/75 x10, 70/90 x21",
        True,
        STALLED,
        "stands for 120 s, twice its longest",
    ),
    Row(
        "a record every two minutes, then a crash",
        "9/9 x20, 9/10, 10/10 x20, 10/11, 11/11 x20, 11/12 x11",
        False,
        STOPPED,
        "its commits are far apart because nothing waited, which is no excuse",
    ),
    Row(
        "slower than the producer",
        "10/20, 20/35, 30/50, 40/65, 50/80, 60/95, 70/110, 80/125, 90/140, 100/155",
        True,
        BEHIND,
        "moves, and the later half of ten commits lags more than the earlier",
    ),
    Row(
        "slower, seen between commits",
        "10/20, 20/50, 30/50, 40/80, 50/80, 60/120, 70/120, 80/150, 90/150, 100/180",
        True,
        BEHIND,
        "lag goes up and down by a commit, and yet the halves are apart",
    ),
    Row("slower, nine commits", "10/20, 20/35, 30/50, 40/65, 50/80, 60/95, 70/110, 80/125, 90/140", True, U, "too few to say so"),
    Row(
        "busy and never through",
        "10/30, 20/50, 30/50, 40/70, 50/70, 60/90, 70/90, 80/110, 90/110, 100/130",
        True,
        OK,
        "the same lag all along is what is under way",
    ),
    Row("works off a backlog", "10/90, 20/92, 30/94", True, OK, "lag shrinks"),
    Row(
        "behind, but was through once",
        "10/20, 20/35, 30/50, 50/50, 50/80, 60/95, 70/110, 80/125, 90/140, 100/155",
        True,
        OK,
        "zero lag in the window is what a healthy consumer of bursts has",
    ),
    Row(
        "sent back from the end",
        "90/90 x5, 10/90",
        True,
        REWOUND,
        "lag before the rewind says nothing of what is read again",
    ),
    Row("sent back, working", "90/90 x5, 10/90, 20/90, 30/90", True, REWOUND, "until it is where it was, or for ten commits"),
    Row("sent back, not working", "90/90 x5, 10/90 x11", True, STALLED, "standing is worse than having gone back"),
    Row("sent back, through again", "90/90 x5, 10/90, 90/90", True, OK, "nothing is left to read"),
    Row("a rebalance repeats a little", "80/90 x3, 70/90, 80/95", True, OK, "it is where it was, and lag shrinks"),
    Row("commits the last record, not the next", "9/10 x11", True, STALLED, "that consumer's mistake: one record always waits"),
)
