"""Alertmanager's configuration, judged by amtool: whether it is one, and which receiver each team and severity comes to."""

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from monitors.errors import RoutingError
from monitors.routing import configuration, decode_teams, inhibit_rules, render
from monitors.routing.pace import PACES, span
from monitors.routing.render import SEVERITIES, WATCHDOG
from tests.monitors.routing.teams_text import teams_text
from tests.streams.test_cli import call

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "alertmanager"
MUTED_BY = {"TidegateWorkerAbsent": ["TidegateVolumeLow", "TidegateLagHigh"], "TidegateStoreUnavailable": ["TidegateLagHigh"]}


def amtool(*arguments: str) -> str:
    if (program := shutil.which("amtool")) is None:
        pytest.skip("no amtool: apt-get install prometheus-alertmanager")
    found = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def routed(file: Path, **labels: str) -> str:
    return amtool(
        "config", "routes", "test", f"--config.file={file}", *(f"{name}={value}" for name, value in labels.items())
    ).strip()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("routing") / "alertmanager.yml"
    path.write_text(render(decode_teams(teams_text()), MUTED_BY, "a test"))
    return path


def test_amtool_takes_it(rendered: Path) -> None:
    assert "4 inhibit rules" in amtool("check-config", str(rendered))


@pytest.mark.parametrize("time_scale", [0.05, 0.001])
def test_amtool_takes_it_shortened(tmp_path: Path, time_scale: float) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(render(decode_teams(teams_text()), {}, "a test", time_scale))
    amtool("check-config", str(path))


def test_each_team_and_severity_comes_to_its_receiver(rendered: Path) -> None:
    """risk has no chat: what is information is sent to nobody."""
    found = {
        (team, severity): routed(rendered, team=team, severity=severity)
        for team in ("airline", "risk")
        for severity in SEVERITIES
    }
    expected = {(team, severity): f"{team}-{severity}" for team, severity in found}
    assert found == expected | {("risk", "info"): "nobody"}


def test_the_receivers_hold_what_the_team_declared() -> None:
    whole = configuration(decode_teams(teams_text("")), {})
    urls = {
        one["name"]: [found["url"] for found in one.get("webhook_configs", [])]
        + [found["to"] for found in one.get("email_configs", [])]
        for one in whole["receivers"]
    }
    assert urls == {
        "airline-escalate": ["/airline-pager", "/airline-chat"],
        "airline-page": ["/airline-pager", "/airline-chat"],
        "airline-ticket": ["/airline-tickets"],
        "airline-info": ["/airline-chat"],
        "risk-escalate": ["/risk-pager", "/risk-manager"],
        "risk-page": ["/risk-pager"],
        "risk-ticket": ["risk@example.org"],
        "heartbeat": ["/heartbeat"],
        "nobody": [],
    }


def test_the_watchdog_goes_to_the_heartbeat_whatever_its_team(rendered: Path) -> None:
    assert routed(rendered, alertname=WATCHDOG, team="risk", severity="none") == "heartbeat"


@pytest.mark.parametrize("severity", SEVERITIES)
def test_an_alert_of_no_listed_team_goes_the_default_teams_way(rendered: Path, severity: str) -> None:
    assert routed(rendered, team="unheard-of", severity=severity) == f"airline-{severity}"


def test_an_alert_of_no_known_severity_is_taken_for_a_page(rendered: Path) -> None:
    assert routed(rendered, team="risk", severity="critical") == "risk-page"
    assert routed(rendered, alertname="SomebodyElses") == "airline-page"


def test_mute_times_are_the_tickets_and_where_declared_the_pages_never_the_escalations() -> None:
    routes = configuration(decode_teams(teams_text()), {})["route"]["routes"]
    times = {
        f"{team['matchers'][0]} {route['receiver']}": (route.get("mute_time_intervals"), route.get("active_time_intervals"))
        for team in routes
        for route in team.get("routes", [])
        if "mute_time_intervals" in route or "active_time_intervals" in route
    }
    assert times == {
        'team="airline" airline-ticket': (["always"], None),
        'team="risk" risk-page': (["always"], None),
        'team="risk" risk-ticket': (["always"], ["office"]),
    }


def test_an_escalation_is_told_sooner_and_again_sooner() -> None:
    escalate, page, ticket = PACES["escalate"], PACES["page"], PACES["ticket"]
    assert escalate.wait_seconds < page.wait_seconds < ticket.wait_seconds
    assert escalate.repeat_seconds < page.repeat_seconds < ticket.repeat_seconds


def test_alerts_that_mute_each_other_are_refused() -> None:
    with pytest.raises(
        RoutingError, match=r"in a circle: (A mutes B mutes C mutes A|B mutes C mutes A mutes B|C mutes A mutes B mutes C)"
    ):
        inhibit_rules({"A": ["B"], "B": ["C"], "C": ["A"]})


def test_a_span_is_never_rounded_away() -> None:
    assert [span(seconds) for seconds in (0, 0.03, 10, 3600, 86_400 * 4)] == ["0s", "30ms", "10s", "1h", "96h"]


def test_what_is_committed_is_what_the_command_makes_of_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed = DEPLOY / "alertmanager.yml"
    amtool("check-config", str(committed))
    command = committed.read_text().splitlines()[0].removeprefix("# Made by: tidegate ").split()
    assert command[-1] == "deploy/alertmanager/alertmanager.yml"
    monkeypatch.chdir(ROOT)
    found = call(*command[:-2])
    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[1:] == committed.read_text().splitlines()[1:], f"run: tidegate {' '.join(command)}"


def test_no_secret_lies_in_the_repository() -> None:
    """Each of Alertmanager's secret fields has a twin that names a file."""
    whole = msgspec.yaml.decode((DEPLOY / "alertmanager.yml").read_bytes())
    secrets = {"credentials", "password", "routing_key", "service_key", "api_url", "api_key", "token", "smtp_auth_password"}

    def names(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {name for one in value.values() for name in names(one)}
        return {name for one in value for name in names(one)} if isinstance(value, list) else set()

    assert not names(whole) & secrets


def test_a_pipeline_of_an_unlisted_team_is_refused(tmp_path: Path) -> None:
    teams = tmp_path / "teams.yml"
    teams.write_text(teams_text().replace("risk:", "hazard:"))
    found = call("alerts", "routes", str(teams), str(ROOT / "examples/payments/pipeline.py"))
    assert found.exit_code == 1
    assert "pipeline payment-fraud belongs to team 'risk', which is not listed" in found.output
    assert "Traceback" not in found.output


def test_the_command_says_where_a_file_is_wrong(tmp_path: Path) -> None:
    teams = tmp_path / "teams.yml"
    teams.write_text("default: airline")
    found = call("alerts", "routes", str(teams))
    assert found.exit_code == 1
    assert f"{teams}: Object missing required field `heartbeat`" in found.output
