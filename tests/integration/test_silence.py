"""`tidegate silence` on a real Alertmanager, checked by Debian's amtool: what is muted, by whom, why, and what is refused."""

import re
from collections.abc import Iterator

import pytest
from click.testing import Result

from benchmarks.accept.alerts_servers import AlertmanagerServer
from monitors.routing import decode_teams, render
from streams.alertmanager import Alertmanager
from tests.integration.alertmanagers import alertmanager, fire
from tests.monitors.routing.teams_text import teams_text
from tests.monitors.routing.test_render import ROOT, amtool
from tests.streams.test_cli import call

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[AlertmanagerServer]:
    with alertmanager(render(decode_teams(teams_text()), {}, "a test", 0.01)) as found:
        fire(found.url, "LagHigh", "Stalled")
        fire(found.url, "RecordsLost", severity="escalate")
        fire(found.url, "LagHigh", pipeline="flight-delays")
        fire(found.url, "FeedFrozen", family="freshness")
        yield found


@pytest.fixture(autouse=True)
def nothing_silenced(server: AlertmanagerServer) -> Iterator[None]:
    yield
    there = Alertmanager(server.url)
    for one in there.silences():
        there.end(one.id)


def silence(server: AlertmanagerServer, *arguments: str) -> Result:
    return call("silence", *arguments, TIDEGATE_ALERTMANAGER=server.url)


def made(found: Result) -> str:
    assert found.exit_code == 0, found.output
    told = re.search(r"silent until \d{4}-\d\d-\d\d \d\d:\d\d UTC: (\S+)", found.output)
    assert told, found.output
    return told[1]


def muted(found: Result) -> list[str]:
    return re.findall(r"^  (\w+ \(\w+\)) since", found.output, re.M)


def test_one_alert_of_one_pipeline_is_silenced_with_its_reason(server: AlertmanagerServer) -> None:
    found = silence(server, "payment-fraud", "--alert", "LagHigh", "--for", "2h", "--why", "replaying yesterday", "--who", "mara")
    assert muted(found) == ["LagHigh (page)"]
    told = amtool("silence", "query", "--alertmanager.url", server.url, "-o", "extended", 'pipeline="payment-fraud"')
    for words in (made(found), 'alertname="LagHigh"', "mara", "replaying yesterday"):
        assert words in told
    assert amtool("silence", "query", "--alertmanager.url", server.url, "-q", 'alertname="Stalled"').strip() == ""


def test_a_family_is_silenced_without_its_escalations(server: AlertmanagerServer) -> None:
    why = ("--for", "30m", "--why", "a test")
    assert muted(silence(server, "payment-fraud", "--family", "lag", *why)) == ["LagHigh (page)", "Stalled (page)"]
    found = silence(server, "payment-fraud", "--family", "lag", "--escalations", *why)
    assert sorted(muted(found)) == ["LagHigh (page)", "RecordsLost (escalate)", "Stalled (page)"]


def test_a_file_stands_for_its_pipelines_name(server: AlertmanagerServer) -> None:
    found = silence(server, str(ROOT / "examples/payments/pipeline.py"), "--family", "lag", "--for", "1h", "--why", "a test")
    assert sorted(muted(found)) == ["LagHigh (page)", "Stalled (page)"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--alert", "TidegateLagHihg"), "payment-fraud declares no alert TidegateLagHihg (did you mean TidegateLagHigh"),
        (("--family", "zzz"), "payment-fraud declares no family zzz (docs/alerting.md lists them)"),
    ],
)
def test_a_file_says_which_alerts_there_are(server: AlertmanagerServer, arguments: tuple[str, ...], words: str) -> None:
    file = str(ROOT / "examples/payments/pipeline.py")
    found = silence(server, file, *arguments, "--for", "1h", "--why", "a test")
    assert found.exit_code == 1
    assert words in found.output
    assert Alertmanager(server.url).silences() == []
    assert silence(server, file, "--alert", "TidegateLagHigh", "--for", "1h", "--why", "a test").exit_code == 0


def test_silences_are_listed_and_ended(server: AlertmanagerServer) -> None:
    assert silence(server, "list").output == "No silences.\n"
    first = made(silence(server, "payment-fraud", "--alert", "LagHigh", "--for", "2h", "--why", "because", "--who", "mara"))
    listed = silence(server, "list").output
    for words in (first, 'alertname="LagHigh"', "mara", "because"):
        assert words in listed
    assert silence(server, "end", first).exit_code == 0
    assert silence(server, "list").output == "No silences.\n"
    again = silence(server, "end", first)
    assert again.exit_code == 1
    assert f"no silence {first} is in force" in again.output


def test_nothing_muted_now_is_said(server: AlertmanagerServer) -> None:
    found = silence(server, "payment-fraud", "--alert", "LagHihg", "--for", "2h", "--why", "a test")
    assert "Nothing that fires now is muted" in found.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--alert", "LagHigh", "--for", "8d", "--why", "x"), "a silence lasts 1w at most"),
        (("--alert", "LagHigh", "--for", "1h", "--why", " "), "say why"),
        (("--for", "1h", "--why", "x"), "name one alert or one family"),
        (("--alert", "LagHigh", "--family", "lag", "--for", "1h", "--why", "x"), "name one alert or one family"),
        (("--alert", "TidegateWatchdog", "--for", "1h", "--why", "x"), "TidegateWatchdog is not silenced"),
        (("--family", "watchdog", "--escalations", "--for", "1h", "--why", "x"), "TidegateWatchdog is not silenced"),
        (("--alert", "RecordsLost", "--for", "1h", "--why", "x"), "RecordsLost escalates"),
    ],
)
def test_what_nobody_may_miss_is_not_silenced(server: AlertmanagerServer, arguments: tuple[str, ...], words: str) -> None:
    found = silence(server, "payment-fraud", *arguments)
    assert found.exit_code == 1
    assert words in found.output
    assert Alertmanager(server.url).silences() == []


def test_without_a_reason_the_usage_is_told(server: AlertmanagerServer) -> None:
    found = silence(server, "payment-fraud", "--alert", "LagHigh", "--for", "1h")
    assert found.exit_code == 2
    assert "--why" in found.output


def test_an_escalation_is_silenced_where_asked_for(server: AlertmanagerServer) -> None:
    found = silence(server, "payment-fraud", "--alert", "RecordsLost", "--escalations", "--for", "1h", "--why", "x")
    assert muted(found) == ["RecordsLost (escalate)"]


def test_a_server_that_does_not_answer_is_one_sentence() -> None:
    found = call("silence", "list", "--alertmanager", "http://127.0.0.1:9")
    assert found.exit_code == 1
    assert "name it by --alertmanager or TIDEGATE_ALERTMANAGER" in found.output
    assert "Traceback" not in found.output
