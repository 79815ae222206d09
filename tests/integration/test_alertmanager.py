"""A real Alertmanager with the configuration that is rendered: what mutes what, and what is delivered when."""

from collections.abc import Iterator

import pytest

from benchmarks.accept.alerts_servers import AlertmanagerServer
from benchmarks.accept.alerts_sink import Sink
from monitors.routing import decode_teams, render
from tests.integration.alertmanagers import alertmanager, fire, inhibited
from tests.monitors.routing.teams_text import teams_text

pytestmark = pytest.mark.integration

MUTED_BY = {"WorkerAbsent": ["VolumeLow", "LagHigh"]}
SCALE = 0.01  # a page waits 0.3 s


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as found:
        yield found


@pytest.fixture
def server(sink: Sink) -> Iterator[AlertmanagerServer]:
    with alertmanager(render(decode_teams(teams_text(sink.url("")[:-1])), MUTED_BY, "a test", SCALE)) as found:
        yield found


def test_severity_mutes_within_one_pipeline_and_family_alone(server: AlertmanagerServer) -> None:
    fire(server.url, "Lost", severity="escalate")
    fire(server.url, "Stalled")
    fire(server.url, "MonitorLag", severity="ticket")
    fire(server.url, "StalledElsewhere", pipeline="flight-delays")
    fire(server.url, "Burn", family="scoring")
    fire(server.url, "SlowBurn", family="scoring", severity="ticket")
    fire(server.url, "Drift", family="drift", severity="ticket")
    fire(server.url, "TidegateWatchdog", family="watchdog", severity="none")
    expected = ("Stalled", "MonitorLag", "SlowBurn")
    assert inhibited(server.url, *expected) == set(expected)


def test_absence_mutes_its_dependants_in_its_pipeline(server: AlertmanagerServer) -> None:
    fire(server.url, "WorkerAbsent", family="presence")
    fire(server.url, "LagHigh")
    fire(server.url, "VolumeLow", family="traffic")
    fire(server.url, "FeedFrozen", family="freshness")
    fire(server.url, "LagHigh", pipeline="flight-delays", instance="other")
    assert inhibited(server.url, "LagHigh", "VolumeLow") == {"LagHigh", "VolumeLow"}
    fire(server.url, "VolumeLow2", family="traffic")  # a name that only begins like one that is muted
    assert inhibited(server.url, "LagHigh", "VolumeLow") == {"LagHigh", "VolumeLow"}


def test_alerts_without_a_pipeline_mute_nothing(server: AlertmanagerServer) -> None:
    """To Alertmanager two labels that are both missing are equal."""
    fire(server.url, "Other", pipeline="", family="", severity="escalate")
    fire(server.url, "Another", pipeline="", family="", severity="page")
    assert inhibited(server.url) == set()


def test_in_a_mute_time_a_ticket_is_not_delivered_and_others_are(server: AlertmanagerServer, sink: Sink) -> None:
    """airline's tickets, and risk's pages, are muted at all times. What must not come was put in before what must."""
    fire(server.url, "Drift", severity="ticket", family="drift")
    fire(server.url, "RiskLag", team="risk", pipeline="a")
    fire(server.url, "RiskLost", team="risk", severity="escalate", pipeline="b")
    fire(server.url, "Lag", pipeline="c")
    fire(server.url, "TidegateWatchdog", severity="none", family="watchdog")
    for path, name in (
        ("airline-pager", "Lag"),
        ("airline-chat", "Lag"),
        ("risk-pager", "RiskLost"),
        ("risk-manager", "RiskLost"),
        ("heartbeat", "TidegateWatchdog"),
    ):
        assert sink.wait_for(lambda told, at=(path, name): (told.path, told.labels["alertname"]) == at, 20), (path, name)
    # Without the mute time the ticket comes 3 s after it was put in, as the next test shows; the page after 0.3 s.
    assert sink.wait_for(lambda told: told.labels["alertname"] in ("Drift", "RiskLag"), 4) is None


def test_a_ticket_outside_of_mute_times_is_delivered(sink: Sink) -> None:
    text = teams_text(sink.url("")[:-1]).replace("    mute_tickets: [always]\n", "")
    with alertmanager(render(decode_teams(text), {}, "a test", SCALE)) as server:
        fire(server.url, "Drift", severity="ticket", family="drift")
        assert sink.wait_for(lambda told: (told.path, told.labels["alertname"]) == ("airline-tickets", "Drift"), 20)


def test_an_escalation_is_repeated_before_a_page_is(sink: Sink) -> None:
    """Every 3.6 s against 29 s, at this scale; the test waits for the escalation's second message."""
    with alertmanager(render(decode_teams(teams_text(sink.url("")[:-1])), {}, "a test", SCALE / 5)) as server:
        fire(server.url, "Lost", severity="escalate", pipeline="a")
        fire(server.url, "Lag", pipeline="b")

        def second(name: str) -> bool:
            return sum(told.labels["alertname"] == name and told.path == "airline-pager" for told in sink.told) > 1

        assert sink.wait_for(lambda _: second("Lost"), 40)
        assert not second("Lag")
