"""States, episodes and severities as tables."""

import msgspec
import pytest

from monitors.drift.episode import DAY, WEEK, FeatureMemory, Severity, State

HOUR = 3_600.0


def after(flags: str, hours: float = 1.0, seasonal: str = "") -> FeatureMemory:
    """The memory after windows of so many hours, flagged by "1"."""
    memory = FeatureMemory()
    for i, flag in enumerate(flags):
        start = i * hours * HOUR
        memory = memory.after(flag == "1", seasonal[i : i + 1] == "1", start, start + hours * HOUR)
    return memory


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ("", "ok"),
        ("0", "ok"),
        ("1", "warn"),
        ("001", "warn"),
        ("010", "ok"),
        ("011", "drift"),
        ("101", "drift"),
        ("110", "drift"),  # two of the last three, though not this one
        ("111", "drift"),
        ("1100", "ok"),
        ("1001", "warn"),
        ("11", "drift"),
    ],
)
def test_two_of_the_last_three_windows_are_drift_and_this_one_alone_a_warning(flags: str, state: State) -> None:
    assert after(flags).state == state


@pytest.mark.parametrize(
    ("flags", "hours", "goes_on"),
    [
        ("11", 1, True),
        ("1100", 1, True),
        ("110" + "0" * 23, 1, True),  # 23 windows after the last alarm, which the third was
        ("110" + "0" * 24, 1, False),
        ("11" + "0" * 4, 12, False),  # more than a day, and three windows
        ("11" + "0" * 3, 12, True),
        ("1100", 48, True),  # four days, of which two windows are not enough
        ("11000", 48, True),
        ("110000", 48, False),
    ],
)
def test_an_episode_ends_after_a_day_or_24_windows_and_never_with_one_window(flags: str, hours: float, goes_on: bool) -> None:
    memory = after(flags, hours)
    assert (memory.alarm_since is not None) == goes_on
    assert memory.alarm_since in (None, hours * HOUR)


def test_an_alarm_on_a_fast_stream_does_not_last_by_one_false_alarm_a_day() -> None:
    memory = FeatureMemory()
    for second in range(0, int(2 * DAY), 600):
        for i in range(30):
            memory = memory.after(i < 2, False, second + i, second + i + 1.0)
        assert memory.alarm_since is None


@pytest.mark.parametrize(
    ("flags", "seasonal", "weeks", "days", "severity"),
    [
        ("00", "00", 4.0, 0, "none"),
        ("01", "01", 0.0, 0, "none"),  # a warning is no alarm
        ("11", "00", 4.0, 0, "info"),
        ("11", "00", 2.0, 0, "info"),
        ("11", "00", 1.0, 0, "ticket"),  # too little history to say that it is usual
        ("11", "00", 0.0, 0, "ticket"),
        ("11", "11", 4.0, 0, "ticket"),
        ("11", "01", 4.0, 0, "info"),  # against the season it is one window
        ("11", "00", 4.0, 6.9, "info"),
        ("11", "00", 4.0, 7, "ticket"),
        ("00", "11", 4.0, 9, "none"),  # unlike last week, as the training reference was
    ],
)
def test_an_alarm_is_a_ticket_unless_the_season_may_explain_it(
    flags: str, seasonal: str, weeks: float, days: float, severity: Severity
) -> None:
    memory = after(flags, seasonal=seasonal)
    began = memory.alarm_since or 0.0
    assert memory.severity(began + days * DAY, weeks) == severity


def test_a_week_is_counted_from_where_the_episode_began() -> None:
    memory = after("1" * 168 + "1")
    assert memory.alarm_since == HOUR
    assert memory.severity(HOUR + WEEK - 1, 4.0) == "info"
    assert memory.severity(HOUR + WEEK, 4.0) == "ticket"


def test_a_memory_is_written_and_read() -> None:
    memory = after("0110", seasonal="1")
    assert msgspec.json.decode(msgspec.json.encode(memory), type=FeatureMemory) == memory
