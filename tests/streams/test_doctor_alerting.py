"""Before production the doctor holds a pipeline's alerts against its declaration, and follows them to who is called."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.flights.pipeline import pipeline
from streams.alerting import files
from streams.embedded.alert_routes import routes_of
from streams.embedded.checks_alerting import alert_routes, alert_rules, rendered_rules

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
PAGER = {"webhook_configs": [{"url": "https://pager.airline.aero/hook"}]}
MAILBOX = {"email_configs": [{"to": "night@airline.aero"}]}


def routed(**receivers: dict[str, Any]) -> dict[str, Any]:
    """A configuration that sends team airline's pages to `page` and its escalations to `escalate`."""
    severities = [{"receiver": name, "matchers": [f'severity="{name}"']} for name in ("escalate", "page")]
    team = {"receiver": "page", "matchers": ['team="airline"'], "routes": severities}
    named = [{"name": name, **channels} for name, channels in {"escalate": PAGER, "page": PAGER, **receivers}.items()]
    return {"route": {"receiver": "page", "routes": [team]}, "receivers": named}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], Path]:
    def write(configuration: Any) -> Path:
        path = tmp_path / "alertmanager.yml"
        path.write_text(configuration if isinstance(configuration, str) else yaml.safe_dump(configuration))
        return path

    return write


def test_rules_that_are_missing_or_stale_fail_and_render_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "flight-delays.rules.yml"
    assert alert_rules(path, rendered_rules(pipeline, path)).status == "fail"
    path.write_text(files(pipeline)[path.name])
    assert alert_rules(path, rendered_rules(pipeline, path)).status == "ok"
    other_owner = alert_rules(path, rendered_rules(replace(pipeline, owner="night-shift"), path))
    assert (other_owner.status, "tidegate alerts render" in other_owner.remedy) == ("fail", True)


def test_links_to_runbooks_elsewhere_are_not_stale(tmp_path: Path) -> None:
    path = tmp_path / "flight-delays.rules.yml"
    path.write_text(files(pipeline, "https://wiki.airline.aero/tidegate: runbooks")[path.name])
    assert alert_rules(path, rendered_rules(pipeline, path)).status == "ok"


def test_the_committed_rules_are_what_the_example_declares() -> None:
    path = ROOT / "deploy" / "prometheus" / "flight-delays.rules.yml"
    assert alert_rules(path, rendered_rules(pipeline, path)).status == "ok"


def test_a_team_that_is_reached_suits(file: Callable[[Any], Path]) -> None:
    found = alert_routes(file(routed()), pipeline)
    assert (found.status, found.found.rpartition(": ")[2]) == ("ok", "team airline is told of escalate and page")


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        (routed(page=MAILBOX), "page reaches a mailbox alone (page)"),
        (routed(escalate={}), "escalate reaches nobody (escalate)"),
        (
            routed(page={"webhook_configs": [{"url": "http://127.0.0.1:9099/pager"}]}),
            "url is still 'http://127.0.0.1:9099/pager'",
        ),
        (routed(page={"webhook_configs": [{"url": "https://hooks.example.com/x"}]}), "still 'https://hooks.example.com/x'"),
        (routed(page={"pagerduty_configs": [{"routing_key": "<key>"}]}), "routing_key is still '<key>'"),
        (routed(page={**PAGER, "email_configs": [{"to": "me@example.org"}]}), "to is still 'me@example.org'"),
        ({"route": {"receiver": "page"}, "receivers": [{"name": "page", **PAGER}]}, "no route of team airline for escalate"),
        ("route: [", "cannot be read"),
        ("", "cannot be read"),
        ({"route": {"receiver": "a", "routes": [{"matchers": ["nonsense"]}]}, "receivers": []}, "'nonsense' cannot be read"),
    ],
)
def test_a_team_that_is_not_reached_fails(configuration: Any, said: str, file: Callable[[Any], Path]) -> None:
    found = alert_routes(file(configuration), pipeline)
    assert found.status == "fail"
    assert said in found.found
    assert "tidegate alerts routes" in found.remedy


def test_the_examples_own_addresses_are_placeholders(tmp_path: Path) -> None:
    """Nobody goes live with them; and a file that is not there is told by its name."""
    assert "is still 'http://127.0.0.1:9099/airline/pager'" in alert_routes(COMMITTED, pipeline).found
    assert "nowhere.yml cannot be read" in alert_routes(tmp_path / "nowhere.yml", pipeline).found


LABELS = [
    {"team": team, "severity": severity, "pipeline": "p", **more}
    for team in ("airline", "risk", "strangers")
    for severity in ("escalate", "page", "ticket", "info", "none")
    for more in ({}, {"alertname": "TidegateWatchdog"})
]


@pytest.mark.parametrize("text", [COMMITTED.read_text(), """
route:
  receiver: root
  routes:
    - {receiver: both, matchers: ['team=~"air.*|risk"', severity!=info], continue: true}
    - {receiver: none, matchers: ['severity!~"page|escalate"']}
    - {matchers: ['team="airline"'], routes: [{receiver: deep, match: {severity: page}}, {match_re: {team: a.+}, receiver: any}]}
receivers: [{name: root}, {name: both}, {name: none}, {name: deep}, {name: any}]
"""])  # fmt: skip
def test_routes_end_where_amtool_says(text: str, tmp_path: Path) -> None:
    if (amtool := shutil.which("amtool")) is None:
        pytest.skip("no amtool: apt-get install --no-install-recommends prometheus-alertmanager")
    path = tmp_path / "alertmanager.yml"
    path.write_text(text)
    for labels in LABELS:
        pairs = [f"{name}={value}" for name, value in labels.items()]
        said = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={path}", *pairs], capture_output=True, text=True, check=True
        )
        assert ",".join(end.receiver for end in routes_of(yaml.safe_load(text)["route"], labels)) == said.stdout.strip(), labels
