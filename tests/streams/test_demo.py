"""The demo's parts that need no broker: what is sent, what counts as labelled, what is kept from run to run, how it looks."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from examples.flights.events import Arrival, Departure, Weather
from examples.flights.pipeline import pipeline
from examples.payments.events import Outcome, Payment
from streams.cli.demo import demo
from streams.demo import state as state_module
from streams.demo.findings import Findings
from streams.demo.lag import Lag
from streams.demo.scoreboard import Quality, Scoreboard, hearing
from streams.demo.snapshot import Drift, Snapshot, Summary
from streams.demo.source import Sendable, sound_before, with_broken
from streams.demo.state import DemoState, Prepared
from streams.demo.stories import find_story
from streams.demo.story import ROOT
from streams.demo.view import line, live_view, panel, sparkline, summary_table
from streams.demo.watch import percentiles

HOUR = 3600.0

SNAPSHOT = Snapshot(
    elapsed_seconds=12.3,
    seconds_max=60.0,
    event_time=1_367_400_000.0,
    events=6_000,
    events_per_second=500.0,
    rates=(400.0, 500.0),
    predictions=2_900,
    repeats=0,
    rejects=3,
    broken_sent=3,
    p50_ms=21.0,
    p99_ms=80.0,
    lag=Lag(120, 40),
    model="flight-delays",
    model_version=1,
    quality=Quality(2_000, 0.75, 0.65),
    workers=((1, 4711, True), (2, 4712, False)),
    drift=Drift(put_in=(), found=Findings(), seconds_ago=0.0, monitor_alive=True),
)
SUMMARY = Summary(
    events=6_000,
    predictions=2_900,
    distinct_predictions=2_900,
    rejects=3,
    events_per_second=499.0,
    p50_ms=21.0,
    p99_ms=80.0,
    auc=0.75,
    baseline_auc=0.65,
    model_version=1,
    workers=2,
    example="flights",
    put_in=[],
    windows=0,
    alarms=[],
    quality_score=None,
    feeds_not_fresh=[],
)
WORDS = find_story("flights").words


def departure(flight_id: str, scheduled_at: float = 0.0) -> Departure:
    return Departure(
        flight_id=flight_id,
        scheduled_at=scheduled_at,
        carrier="UA",
        origin="EWR",
        dest="IAH",
        tailnum="N1",
        distance=1_400.0,
        scheduled_minutes=230.0,
        local_hour=6.5,
        plane_year=2_000.0,
        seats=150.0,
    )


def arrival(flight_id: str, delay_minutes: float, landed_at: float = HOUR) -> Arrival:
    return Arrival(
        flight_id=flight_id,
        landed_at=landed_at,
        carrier="UA",
        origin="EWR",
        dest="IAH",
        tailnum="N1",
        delay_minutes=delay_minutes,
    )


@pytest.fixture
def scoreboard() -> Scoreboard:
    """Its baseline scores a flight by the number in its id."""
    return Scoreboard(pipeline, lambda events: [float(event.flight_id) for event in events])


def test_an_auc_is_of_events_both_predicted_and_labelled(scoreboard: Scoreboard) -> None:
    for number in range(4):
        scoreboard.sent(departure(str(number)))
    for number in range(3):
        scoreboard.predicted(str(number), 1 - number / 10)
    scoreboard.labelled(arrival("0", 60.0))
    assert scoreboard.quality() == Quality(1)  # one class has no AUC
    scoreboard.labelled(arrival("1", 0.0))
    scoreboard.labelled(arrival("3", 60.0))  # not predicted yet
    assert scoreboard.quality() == Quality(2, auc=1.0, baseline_auc=0.0)
    scoreboard.predicted("3", 0.1)
    assert scoreboard.quality() == Quality(3, auc=0.5, baseline_auc=0.5)


def test_labels_after_maturity_and_of_flights_never_sent_do_not_count(scoreboard: Scoreboard) -> None:
    scoreboard.sent(departure("1"))
    scoreboard.predicted("1", 0.5)
    scoreboard.predicted("2", 0.5)
    scoreboard.labelled(arrival("1", 60.0, landed_at=12 * HOUR + 1))
    scoreboard.labelled(arrival("2", 60.0))  # of the warm-up
    assert scoreboard.quality() == Quality()


def test_a_repeated_prediction_keeps_the_first_score(scoreboard: Scoreboard) -> None:
    for number, delay in ((1, 60.0), (2, 0.0)):
        scoreboard.sent(departure(str(number)))
        scoreboard.predicted(str(number), 0.9 if delay else 0.1)
        scoreboard.predicted(str(number), 0.5)
        scoreboard.labelled(arrival(str(number), delay))
    assert scoreboard.quality().auc == 1.0


def test_the_scoreboard_hears_of_sound_departures_and_arrivals_alone(scoreboard: Scoreboard) -> None:
    hear = hearing(pipeline, scoreboard)
    for number, delay in (("1", 60.0), ("2", 0.0)):
        hear(Sendable("flights.departures", None, msgspec.json.encode(departure(number)), 0.0))
        hear(Sendable("flights.departures", None, b"not JSON", 0.0, broken=True))
        hear(Sendable("flights.weather", None, b"{}", 0.0))
        hear(Sendable("flights.arrivals", None, msgspec.json.encode(arrival(number, 9_999.0)), 0.0))  # out of bounds
        hear(Sendable("flights.arrivals", None, msgspec.json.encode(arrival(number, delay)), 0.0))
        scoreboard.predicted(number, 0.5)
    assert scoreboard.quality().labelled == 2


def test_broken_records_are_added_never_put_in_place_of_sound_ones() -> None:
    sound = [Sendable("flights.departures", b"k", b"%d" % number, float(number)) for number in range(10)]
    sent = list(with_broken(iter(sound), ["flights.departures"], every=4))
    assert [record for record in sent if not record.broken] == sound
    assert [place for place, record in enumerate(sent) if record.broken] == [4, 9]
    for number in range(len(sent) + 1):
        assert sound_before(number, every=4) == sum(not record.broken for record in sent[:number])


def test_what_is_broken_goes_where_somebody_reads_it() -> None:
    """Outcomes feed no feature: no worker would refuse one."""
    records = [Sendable("payments.outcomes", b"k", b"{}", 0.0)]
    sent = list(with_broken(iter(records), ["payments"], every=1))
    assert [record.topic for record in sent] == ["payments.outcomes", "payments"]


@pytest.mark.parametrize("value", [b"", b"not JSON", b'["no object"]', b'{"no": "field of it"}'])
def test_what_is_broken_on_purpose_breaks_every_contract(value: bytes) -> None:
    records = with_broken(iter([Sendable("t", None, b"", 0.0)] * 4), ["t"], every=1)
    assert value in [record.value for record in records if record.broken]
    for event in (Departure, Arrival, Weather, Payment, Outcome):
        with pytest.raises((msgspec.DecodeError, TypeError)):
            msgspec.json.decode(value, type=event)


def test_a_folder_without_all_its_files_counts_as_not_made(tmp_path: Path) -> None:
    state = DemoState(tmp_path / "state")
    state.empty()
    assert state.load() is None
    state.save(Prepared("flight-delays", 1, "00", "11"))  # names versions that are not there
    assert state.load() is None
    (state.folder / state_module.PREPARED_FILE).write_bytes(b'{"model": "flight')
    assert state.load() is None


def test_the_folder_changes_with_the_code_that_makes_models(tmp_path: Path) -> None:
    story = find_story("payments")
    for place in (*state_module.CODE, *story.code):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        if place.endswith(".py"):
            (tmp_path / place).write_text("")
        else:
            (tmp_path / place).mkdir(exist_ok=True)
    keys = [state_module.content_key(story, tmp_path)]
    assert state_module.content_key(story, tmp_path) == keys[0]
    for file in ("featurestore/kernel.py", "examples/payments/hour.py", "streams/demo/stories/payments.py"):
        (tmp_path / file).write_text("a = 2\n")
        keys.append(state_module.content_key(story, tmp_path))
    assert len(set(keys)) == 4
    (tmp_path / "examples" / "flights").mkdir()
    (tmp_path / "examples" / "flights" / "pipeline.py").write_text("another story's\n")
    assert state_module.content_key(story, tmp_path) == keys[-1]


def test_the_summary_has_exactly_the_keys_that_are_promised(tmp_path: Path) -> None:
    file = tmp_path / "new" / "demo.json"
    SUMMARY.write(file)
    assert list(json.loads(file.read_text())) == [
        "events",
        "predictions",
        "distinct_predictions",
        "rejects",
        "events_per_second",
        "p50_ms",
        "p99_ms",
        "auc",
        "baseline_auc",
        "model_version",
        "workers",
        "example",
        "put_in",
        "windows",
        "alarms",
        "quality_score",
        "feeds_not_fresh",
    ]


def shown(what: Any) -> str:
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_the_panel_shows_what_a_newcomer_asks_for() -> None:
    text = shown(panel(SNAPSHOT, WORDS))
    for part in ("6,000", "500", "21 ms", "80 ms", "120", "v1", "0.750", "0.650", "+0.100", "process 4711", "2: ended", "01 May"):
        assert part in text


def test_the_panel_has_a_place_for_what_is_not_known_yet() -> None:
    nothing = replace(SNAPSHOT, p50_ms=None, p99_ms=None, quality=Quality(), model_version=None, event_time=0.0, rates=())
    assert "AUC so far" in shown(panel(nothing, WORDS))
    assert "AUC -" in line(nothing, WORDS)


def test_without_a_terminal_the_view_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with live_view(Console(force_terminal=False), WORDS) as show:
        show(SNAPSHOT)
        show(SNAPSHOT)  # a moment later: not worth a line
    out = capsys.readouterr().out
    assert out == line(SNAPSHOT, WORDS) + "\n"
    assert "\x1b" not in out


def test_a_summary_without_predictions_can_be_shown() -> None:
    empty = msgspec.structs.replace(SUMMARY, predictions=0, p50_ms=None, p99_ms=None, auc=None, model_version=None)
    assert "-" in shown(summary_table(empty, WORDS))


def test_bars_stand_for_rates_and_nothing_for_none() -> None:
    assert (sparkline(()), sparkline((0.0, 0.0)), sparkline((0.0, 9.0))) == ("", "▁▁", "▁█")


def test_percentiles_of_nothing_are_none() -> None:
    assert percentiles([], (50, 99)) == [None, None]


def test_a_missing_libgomp_is_told_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.embedded import checks

    failing = checks.Check("libgomp1", "fail", "not found; LightGBM cannot be imported", "apt-get install libgomp1")
    monkeypatch.setattr(checks, "libgomp", lambda: failing)
    result = CliRunner().invoke(demo, [])
    assert (result.exit_code, "apt-get install libgomp1" in result.output) == (1, True)


@pytest.mark.parametrize("name", ["flights", "payments"])
def test_a_history_is_written_where_examples_are_not_on_the_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image, whose working folder is not where Python looks."""
    monkeypatch.setattr(sys, "path", [place for place in sys.path if Path(place).resolve() != ROOT])
    for module in [each for each in sys.modules if each.split(".")[0] == "examples"]:
        monkeypatch.delitem(sys.modules, module)
    find_story(name).write_history(tmp_path)
    assert len(list(tmp_path.glob("*.parquet"))) >= 2
