"""Which windows are whole in a stretch of the log, and how far back a command has to read."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.reading import Wanted, Window, whole_windows
from streams.monitor.records import DriftRecord, WindowSummary
from tests.streams.drift_world import HOUR, log

NAMES = ("a", "b", "c")


def window(number: int) -> list[DriftRecord]:
    """Three features, then the summary, as the monitor writes them."""
    template, end = log().latest, 1_000_000 + number * HOUR
    features = [
        msgspec.structs.replace(template.features[0], feature=name, window=str(number), drift_id=f"p/{name}/{number}")
        for name in NAMES
    ]
    summary = msgspec.structs.replace(
        template.summary, window=str(number), drift_id=f"p//{number}", window_start=end - HOUR, window_end=end
    )
    return [*features, summary]


def told(windows: Sequence[Window]) -> list[tuple[str, str]]:
    return [(one.summary.window, "".join(feature.feature for feature in one.features)) for one in windows]


def test_a_window_without_its_summary_is_not_shown() -> None:
    assert told(whole_windows([*window(0), *window(1)[:-1]], from_the_first=True)) == [("0", "abc")]


def test_what_was_written_again_after_a_crash_counts_once_and_first() -> None:
    crashed = [*window(0), *window(1)[:2], *window(1), *window(1), *window(2)]
    assert told(whole_windows(crashed, from_the_first=True)) == [("0", "abc"), ("1", "abc"), ("2", "abc")]
    other = [
        msgspec.structs.replace(record, psi=9.0) if not isinstance(record, WindowSummary) else record for record in window(0)
    ]  # type: ignore[call-arg]
    (kept,) = whole_windows([*window(0), *other], from_the_first=True)
    assert {feature.psi for feature in kept.features} != {9.0}


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=4), st.data())
def test_whatever_the_stretch_begins_with_no_window_is_cut(crashes: list[tuple[int, bool]], data: st.DataObject) -> None:
    """The monitor dies after so many records of a window, or after all of them and goes back by one or two windows."""
    written: list[DriftRecord] = []
    number = 0
    for records, back in crashes:
        written += window(number) if back else window(number)[:records]
        number = max(0, number - 1) if back else number
        written += window(number)
        number += 1
    written += [*window(number), *window(number + 1)]
    start = data.draw(st.integers(0, len(written) - 1))
    found = whole_windows(written[start:], from_the_first=start == 0)
    assert all(len(one.features) == len(NAMES) for one in found)
    every = [name for name, _ in told(whole_windows(written, from_the_first=True))]
    assert {name for name, _ in told(found)} <= set(every)
    if start <= len(written) - 2 * len(window(0)) - 1:
        assert [name for name, _ in told(found)][-1:] == every[-1:]


def test_so_many_windows() -> None:
    windows = log().windows
    assert Wanted(count=3).of(windows) == list(windows[-3:])
    assert Wanted(count=3).enough(windows[-3:])
    assert not Wanted(count=3).enough(windows[-2:])
    assert not Wanted(count=1).enough([])
    assert Wanted().of([]) == []


def test_windows_of_so_long() -> None:
    windows = log().windows
    wanted = Wanted(count=500, seconds=10 * HOUR)
    assert wanted.of(windows) == list(windows[-11:])
    assert wanted.enough(windows[-12:])
    assert not wanted.enough(windows[-11:])  # an older one may be wanted too
    assert Wanted(count=5, seconds=10 * HOUR).enough(windows[-5:])


def test_a_window_by_its_id_with_those_before() -> None:
    windows = log().windows
    wanted = Wanted(count=2, window="000030")
    assert wanted.of(windows) == list(windows[29:31])
    assert not wanted.enough(windows[30:])
    assert wanted.enough(windows[29:])
    assert Wanted(window="no such").of(windows) == []
    assert not Wanted(window="no such").enough(windows)
