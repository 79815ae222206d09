"""From suspicious windows to states, alarms to episodes, episodes to severities: pure rules with a memory of a few numbers.

What makes a window suspicious is left to judge.py.
"""

from typing import Literal

import msgspec

State = Literal["ok", "warn", "drift", "unknown"]
Severity = Literal["none", "info", "ticket"]

REMEMBERED = 3  # windows, of which `NEEDED` make an alarm: one window alone is too often a moment's business
NEEDED = 2
DAY, WEEK = 86_400.0, 7 * 86_400.0
HISTORY_WEEKS_MIN = 2.0  # less says nothing of what is usual at this hour
LASTING = WEEK  # what a season explains is over within a week of itself
QUIET_WINDOWS = 24  # a day of hourly windows


class FeatureMemory(msgspec.Struct, frozen=True):
    """What judging one feature remembers between windows; times are event times, in seconds.

    ``flags`` of the last three judged windows, the newest last, and ``seasonal_flags`` against the same hour of earlier weeks.
    The episode of alarms began with the window that started at ``alarm_since``; the last alarm was with the window that ended at
    ``last_alarm``, ``quiet`` judged windows ago.
    """

    flags: list[bool] = []
    seasonal_flags: list[bool] = []
    alarm_since: float | None = None
    last_alarm: float | None = None
    quiet: int = 0

    def after(self, flag: bool, seasonal: bool, start: float, end: float) -> "FeatureMemory":
        """The memory with one more judged window, from ``start`` to ``end``.

        An episode ends with `QUIET_WINDOWS` windows without alarm, or with a day without one, of three windows at least: no
        single window ends it, nor half a night, and on a fast stream it does not live on by one false alarm a day.
        """
        flags, seasonal_flags = _pushed(self.flags, flag), _pushed(self.seasonal_flags, seasonal)
        if alarms(flags):
            since = start if self.alarm_since is None else self.alarm_since
            return FeatureMemory(flags, seasonal_flags, since, end, 0)
        quiet = self.quiet + 1
        ended = self.last_alarm is None or quiet >= QUIET_WINDOWS or (quiet >= REMEMBERED and end - self.last_alarm >= DAY)
        if ended:
            return FeatureMemory(flags, seasonal_flags)
        return FeatureMemory(flags, seasonal_flags, self.alarm_since, self.last_alarm, quiet)

    @property
    def state(self) -> State:
        """Of the newest judged window."""
        if alarms(self.flags):
            return "drift"
        return "warn" if self.flags and self.flags[-1] else "ok"

    def severity(self, end: float, history_weeks: float) -> Severity:
        """Of the newest judged window: an alarm is a ticket unless the season may explain it, and has not had a week to end."""
        if not alarms(self.flags):
            return "none"
        lasting = self.alarm_since is not None and end - self.alarm_since >= LASTING
        return "ticket" if alarms(self.seasonal_flags) or history_weeks < HISTORY_WEEKS_MIN or lasting else "info"


def alarms(flags: list[bool]) -> bool:
    """Whether the flags of the last three windows are an alarm."""
    return sum(flags) >= NEEDED


def _pushed(flags: list[bool], flag: bool) -> list[bool]:
    return [*flags, flag][-REMEMBERED:]
