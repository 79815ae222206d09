"""What is usual at this hour of the week: tallies of the last four weeks, by hour, as context for the training reference.

Hours and weeks are of UTC event time, counted from the epoch. Where the hours are kept is left to the caller; each goes to bytes
by itself. Tallies are of one reference's bins: another reference has another season.
"""

from dataclasses import dataclass

import msgspec

from monitors.drift.episode import WEEK
from monitors.drift.statistics import Counts
from monitors.drift.tally import Tally

HOUR = 3_600.0
HOURS = 168
WEEKS = 4  # kept as context beside the current one


@dataclass(frozen=True, slots=True, eq=False)
class SeasonContext:
    """The same hours of earlier weeks: bins (F, W) of ``n`` events, from ``weeks`` of the last four."""

    bins: Counts
    n: int
    weeks: float


def place(time: float) -> tuple[int, int]:
    """The week of a moment and its hour of the week, 0 to 167; the first is of Thursday 00:00 UTC, as the epoch was."""
    hours = int(time // HOUR)
    return hours // HOURS, hours % HOURS


class Season:
    """Tallies by hour of the week and week."""

    def __init__(self) -> None:
        self._hours: dict[int, dict[int, Tally]] = {}

    def add(self, time: float, tally: Tally) -> int:
        """Adds the events of a window to the hour of ``time``, drops its old weeks, and returns the hour that has changed."""
        week, hour = place(time)
        weeks = self._hours.setdefault(hour, {})
        if week in weeks:
            weeks[week].merge(tally)
        else:
            weeks[week] = Tally.from_bytes(tally.to_bytes())  # a copy: the caller's goes on counting
        newest = max(weeks)
        self._hours[hour] = {one: kept for one, kept in weeks.items() if one >= newest - WEEKS}
        return hour

    def context(self, time: float, span_seconds: float = 0.0) -> SeasonContext | None:
        """The hours that [time - span, time] touches, in the last four weeks, without the current one; None without any.

        The span of a window longer than an hour finds the hours that its like were added to.
        """
        found = [tally for weeks in self._earlier(time, span_seconds).values() for tally in weeks]
        if not found:
            return None
        total = Tally.from_bytes(found[0].to_bytes())
        for tally in found[1:]:
            total.merge(tally)
        return SeasonContext(total.bins, total.n, self.history_weeks(time, span_seconds))

    def history_weeks(self, time: float, span_seconds: float = 0.0) -> float:
        """How many of the last four weeks have any events in these hours."""
        return float(len(self._earlier(time, span_seconds)))

    def last_week(self, time: float) -> Tally | None:
        """The same hour a week ago, for its volume and its decisions."""
        week, hour = place(time - WEEK)
        return self._hours.get(hour, {}).get(week)

    def encode(self, hour: int) -> bytes:
        """One hour's weeks."""
        return msgspec.msgpack.encode({week: tally.to_bytes() for week, tally in sorted(self._hours.get(hour, {}).items())})

    def decode(self, hour: int, data: bytes) -> None:
        """Takes in what ``encode`` wrote of this hour, in place of what is there."""
        read = msgspec.msgpack.decode(data, type=dict[int, bytes])
        self._hours[hour] = {week: Tally.from_bytes(tally) for week, tally in read.items()}

    def _earlier(self, time: float, span_seconds: float) -> dict[int, list[Tally]]:
        """Tallies by how many weeks ago: the hours of the span in each of the last four weeks."""
        last = int(time // HOUR)
        first = max(int((time - span_seconds) // HOUR), last - HOURS + 1)
        found: dict[int, list[Tally]] = {}
        for hours in range(first, last + 1):
            for ago in range(1, WEEKS + 1):
                week, hour = divmod(hours - ago * HOURS, HOURS)
                tally = self._hours.get(hour, {}).get(week)
                if tally is not None and tally.n:
                    found.setdefault(ago, []).append(tally)
        return found
