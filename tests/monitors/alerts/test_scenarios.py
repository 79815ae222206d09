"""Each alert fires when it should and stays silent when it should not: promtool says so, on the files that are committed."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from monitors.alerts import Subject, alerts, document, scenarios
from monitors.alerts.scenarios.series import counts, holds
from tests.monitors.alerts.subjects import EXAMPLES, RULES, VARIED, WHOLE, examples, promtool

RECKONED = ("%", "killed", "behind", "checks", "differ", "freezes", "grows", "10 events")  # in the names of scenarios


def run(folder: Path, file: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool(), "test", "rules", file], cwd=folder, capture_output=True, text=True, timeout=280)


# The payments' files are the flights' without feeds: `make accept ONLY=alerts` runs them, too.
@pytest.mark.parametrize("file", ["flight-delays.test.yml", "flight-delays.days.test.yml"])
def test_the_committed_scenarios_hold(file: str) -> None:
    found = run(RULES, file)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_rule_that_fires_too_early_fails_its_scenario(tmp_path: Path) -> None:
    """The scenarios can fail: with half the memory limit as the bound, the silent minute is not silent."""
    subject = WHOLE
    chosen = [each for each in scenarios.scenarios(subject) if "memory limit" in each.name]
    (tmp_path / "shop.rules.yml").write_text(document(subject).replace("> 0.8", "> 0.5"))
    (tmp_path / "shop.test.yml").write_text(scenarios.test_file(subject, chosen))
    found = run(tmp_path, "shop.test.yml")
    assert found.returncode != 0
    assert "TidegateMemoryHigh" in found.stdout + found.stderr


def test_scenarios_of_everything_optional_hold(tmp_path: Path) -> None:
    """The decision band, which no example declares, and two feeds."""
    chosen = [each for each in scenarios.scenarios(WHOLE) if "band" in each.name or "freezes" in each.name]
    assert len(chosen) == 3
    (tmp_path / "shop.rules.yml").write_text(document(WHOLE))
    (tmp_path / "shop.test.yml").write_text(scenarios.test_file(WHOLE, chosen))
    found = run(tmp_path, "shop.test.yml")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", ["strict", "lenient"])
def test_scenarios_around_other_objectives_hold(name: str, tmp_path: Path) -> None:
    """Those of minutes and hours that reckon with budgets and bounds."""
    subject = replace(WHOLE, objectives=VARIED[name])
    chosen = [each for each in scenarios.scenarios(subject) if not each.days and any(word in each.name for word in RECKONED)]
    assert len(chosen) >= 12
    (tmp_path / "shop.rules.yml").write_text(document(subject))
    (tmp_path / "shop.test.yml").write_text(scenarios.test_file(subject, chosen))
    found = run(tmp_path, "shop.test.yml")
    assert found.returncode == 0, found.stdout + found.stderr


SUBJECTS = [*examples(), WHOLE, *(replace(WHOLE, objectives=each) for each in VARIED.values())]


@pytest.mark.parametrize("subject", SUBJECTS, ids=[*EXAMPLES, "whole", *VARIED])
def test_every_alert_fires_in_one_scenario_and_is_silent_in_it_or_in_another_about_it(subject: Subject) -> None:
    """Silent in a scenario that makes it fire at another minute: a rule that always fires would fail there."""
    found = scenarios.scenarios(subject)
    fires = {name for each in found for names in each.fires.values() for name in names}
    both = {name for each in found for name in fires if {name in names for names in each.fires.values()} == {True, False}}
    expected = {alert.name for alert in alerts(subject)} - {"TidegateWatchdog"}
    assert fires == expected
    assert both == expected


def test_the_watchdog_fires_without_any_series(tmp_path: Path) -> None:
    (tmp_path / "shop.rules.yml").write_text(document(WHOLE))
    (tmp_path / "shop.test.yml").write_text(
        "rule_files: [shop.rules.yml]\n"
        "tests:\n"
        "  - interval: 1m\n"
        "    promql_expr_test:\n"
        "      - expr: 'group by (alertname) (ALERTS{alertstate=\"firing\"})'\n"
        "        eval_time: 0s\n"
        "        exp_samples: [{labels: '{alertname=\"TidegateWatchdog\"}', value: 1}]\n"
    )
    found = run(tmp_path, "shop.test.yml")
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_minute_at_which_no_rule_is_evaluated_is_refused() -> None:
    """There an alert would seem silent that fires."""
    with pytest.raises(ValueError, match="minute"):
        scenarios.Scenario(name="odd", minutes=9, changes={}, fires={2.5: []})


def test_series_in_promtools_notation() -> None:
    assert holds((1, 0.0), (2, None), (4, 5.0)).text(30, 3) == "0x1 stale _x1 5x2"
    assert counts((1, 2.0), (2, -1.0)).text(30, 2) == "0+1x1 2-0.5x2"
