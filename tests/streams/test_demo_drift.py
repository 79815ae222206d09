"""What the demo makes of the monitor's records: which windows count, what is shown, and when a feature first drifted."""

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from streams.demo.drift_view import drift_line, drift_rows
from streams.demo.findings import Findings, Reading
from streams.demo.observer import alarms
from streams.demo.snapshot import Drift, PutIn
from streams.monitor.records import DriftRecord, SkewReport
from tests.streams.demo_records import feature, summary

SHIFT = PutIn("distance=1.5@20", "Departure.distance +1.5 standard deviations (+1,104)", 20.0)


def read(*records: tuple[DriftRecord, float]) -> Findings:
    reading = Reading()
    for record, published in records:
        reading.take(record, published)
    return reading.found


def found(*windows: str) -> Findings:
    """Each window: distance drifts, seats warns, the score is in order; published 5 s after the one before."""
    records: list[tuple[DriftRecord, float]] = []
    for place, window in enumerate(windows):
        features = [feature("seats", window, "warn", 0.1), feature("prediction.score", window), feature("plane_year", window)]
        records += [(one, 5.0 * place) for one in [*features, feature("distance", window, "drift", 1.25)]]
        records.append((summary(window), 5.0 * place))
    return read(*records)


def drift(found: Findings, put_in: Sequence[PutIn] = (), monitor_alive: bool = True) -> Drift:
    return Drift(put_in=tuple(put_in), found=found, seconds_ago=4.0, monitor_alive=monitor_alive)


def shown(rows: Sequence[tuple[Any, ...]]) -> str:
    table = Table.grid(padding=(0, 1))
    for row in rows:
        table.add_row(*row)
    return text(table)


def text(what: RenderableType) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_the_last_window_is_told_with_its_features_the_worst_first() -> None:
    result = found("v1:a", "v1:b")
    assert result.windows == 2
    assert result.last is not None
    assert result.last.window == "v1:b"
    assert [one.feature for one in result.inputs] == ["distance", "seats", "plane_year"]
    assert [one.feature for one in result.predictions] == ["prediction.score"]
    assert result.published == 5.0
    assert result.first_drift == {"distance": 0.0}


def test_a_window_that_is_not_whole_yet_is_not_told() -> None:
    assert read((feature("distance", "v1:a", "drift"), 1.0)).windows == 0


def test_of_several_records_with_one_id_the_first_counts() -> None:
    """A monitor that was killed writes its last window again."""
    again = feature("distance", "v1:a", "ok")
    first = feature("distance", "v1:a", "drift", 1.0)
    result = read((first, 1.0), (again, 2.0), (summary("v1:a"), 3.0), (again, 4.0), (summary("v1:a"), 5.0))
    assert (result.windows, result.published) == (1, 3.0)
    assert [one.state for one in result.features] == ["drift"]


def test_a_skew_report_is_no_window() -> None:
    report = SkewReport(drift_id="s", pipeline="p", window_start=0.0, window_end=0.0, share=0.01, events=1, features=[])
    assert read((report, 1.0)) == Findings()


def test_the_panel_says_what_was_put_in_and_what_the_monitor_says() -> None:
    told = shown(drift_rows(drift(found("v1:a"), [SHIFT]), elapsed_seconds=31.0))
    for words in (
        "11 s ago",
        "distance +1.5 standard deviations (+1,104)",
        "1 drift, 1 warn",
        "of 3 features in the last 1,840 events, 4 s ago; window 1",
        "PSI 1.250 drift distance",
        "PSI 0.100 warn seats",
        "PSI 0.010 ok prediction.score",
        "0.975",
        "tailnum is missing in 30 %",
        "1 not fresh",
        "weather_by_origin is 3 h old (limit 2 h)",
    ):
        assert words in told, told
    assert "no id twice" not in told
    assert "in 20 s" in shown(drift_rows(drift(Findings(), [SHIFT]), elapsed_seconds=0.0))


def test_the_line_says_the_same_once_it_is_put_in() -> None:
    told = drift_line(drift(found("v1:a"), [SHIFT]), elapsed_seconds=31.0)
    for words in ("put in: Departure.distance", "window of 1,840, 4 s ago: 1 drift, 1 warn", "PSI 1.250 drift distance"):
        assert words in told
    for words in ("quality 0.975", "failed: tailnum is missing in 30 %", "not fresh: weather_by_origin"):
        assert words in told
    assert "plane_year" not in told
    assert "put in" not in drift_line(drift(found("v1:a"), [SHIFT]), elapsed_seconds=19.0)


def test_before_the_first_window_and_without_a_monitor_the_view_says_so() -> None:
    assert "has not judged a window yet" in shown(drift_rows(drift(Findings()), 1.0))
    assert drift_line(drift(Findings()), 1.0) == "no window judged yet"
    gone = drift(found("v1:a"), monitor_alive=False)
    assert "the last it said" in shown(drift_rows(gone, 1.0))
    assert drift_line(gone, 1.0).endswith("no monitor")
    assert drift_line(drift(Findings(), monitor_alive=False), 1.0) == "no monitor"


def test_what_could_not_be_judged_is_unknown_not_in_order() -> None:
    few = read((feature("distance", "v1:a", "unknown", None), 1.0), (summary("v1:a", state="unknown", why="too few events"), 1.0))
    told = shown(drift_rows(drift(few), 1.0))
    assert "unknown" in told
    assert "too few events" in told
    assert "0 drift" not in told


def test_alarms_are_counted_from_the_latest_drift_put_in() -> None:
    first = Findings(first_drift={"distance": 1_034.5, "temperature": 1_004.0})
    found = alarms(first, [SHIFT, PutIn("Weather=stopped@40", "", 40.0)], started=1_000.0)
    assert [(one.feature, one.seconds, one.after_drift_seconds) for one in found] == [
        ("temperature", 4.0, None),
        ("distance", 34.5, 14.5),
    ]
