"""What happens to a pipeline, and which alerts then fire: promtool's tests of the rules, one scenario each."""

from collections.abc import Callable
from typing import Any

import yaml

from monitors.alerts.catalogue import group_name, rules
from monitors.alerts.scenarios.healthy import Names, healthy
from monitors.alerts.scenarios.outages import outages
from monitors.alerts.scenarios.series import Scenario
from monitors.alerts.scenarios.serving import serving
from monitors.alerts.scenarios.watched import watched
from monitors.alerts.subject import Subject

__all__ = ["Scenario", "documents", "scenarios", "test_file"]

ABOUT: tuple[Callable[[Names], list[Scenario]], ...] = (outages, serving, watched)
FIRING = 'group by (alertname) (ALERTS{alertstate="firing",alertname!="TidegateWatchdog"})'


def scenarios(subject: Subject) -> list[Scenario]:
    """Every scenario that fits what the pipeline has and declares."""
    names = Names(subject)
    return [each for about in ABOUT for each in about(names)]


def documents(subject: Subject) -> dict[str, str]:
    """promtool's test files, by name: of minutes and hours, and of days."""
    found = scenarios(subject)
    return {
        f"{subject.pipeline}.test.yml": test_file(subject, [each for each in found if not each.days]),
        f"{subject.pipeline}.days.test.yml": test_file(subject, [each for each in found if each.days]),
    }


def test_file(subject: Subject, found: list[Scenario]) -> str:
    """promtool's test file of scenarios that are all of minutes, or all of days."""
    head = f"# Made with {subject.pipeline}.rules.yml by: tidegate alerts render. Run: promtool test rules THIS\n"
    test = {
        "rule_files": [f"{subject.pipeline}.rules.yml"],
        "evaluation_interval": f"{found[0].every_minutes}m",
        "group_eval_order": [group_name(subject, name) for name in rules(subject)],  # by itself promtool's order is random
        "tests": [_test(subject, each) for each in found],
    }
    return head + yaml.safe_dump(test, sort_keys=False, width=10_000, allow_unicode=True)


def _test(subject: Subject, scenario: Scenario) -> dict[str, Any]:
    series = healthy(Names(subject)) | dict(scenario.changes)
    step = scenario.step_seconds
    return {
        "name": scenario.name,
        "interval": f"{step:g}s",
        "input_series": [{"series": name, "values": values.text(step, scenario.minutes)} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": FIRING,
                "eval_time": f"{minute * 60:g}s",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
            }
            for minute, names in scenario.fires.items()
        ],
    }
