"""What the examples' committed rules do over production's windows, minute by minute, as promtool simulates them."""

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Row, at_most
from monitors.alerts import Subject, alerts, document, scenarios
from monitors.alerts.scenarios import Scenario, test_file
from streams.alerting import subject_of
from streams.loading import load_pipeline

ROOT = Path(__file__).parents[2]
PIPELINES = ("examples/flights/pipeline.py", "examples/payments/pipeline.py")
FAILED = re.compile(r"time: ([^,]+),\s+exp: [^\n]*\n\s+got: ([^\n]*)")
NAME = re.compile(r'alertname="(\w+)"')
UNIT_MINUTES = {"d": 1440.0, "h": 60.0, "m": 1.0, "s": 1 / 60}
WORKER_KILLED, QUIET = "every worker is killed", "all of which fail"  # parts of the scenarios' names
ORDINARY, BACKLOG = "an hour of ordinary", "a backlog of 100,000"
NEVER = "TidegateNever"


def firing(subject: Subject, scenario: Scenario, minutes: Iterable[float]) -> dict[float, set[str]]:
    """Which alerts fire at each minute, beside the watchdog; asked by expecting what never is, so that promtool tells what is."""
    asked = {minute: [NEVER] for minute in minutes}
    found: dict[float, set[str]] = {minute: set() for minute in asked}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{subject.pipeline}.rules.yml").write_text(document(subject))
        (Path(folder) / "asked.yml").write_text(test_file(subject, [replace(scenario, fires=asked)]))
        told = subprocess.run(["promtool", "test", "rules", "asked.yml"], cwd=folder, capture_output=True, text=True)
    answers = FAILED.findall(told.stdout + told.stderr)
    if len(answers) != len(asked):
        raise RuntimeError(f"promtool answered {len(answers)} of {len(asked)} questions: {told.stdout}{told.stderr}")
    for at, got in answers:
        found[round(_minutes(at), 3)] = set(NAME.findall(got))
    return found


def _minutes(text: str) -> float:
    return sum(float(number) * UNIT_MINUTES[unit] for number, unit in re.findall(r"([\d.]+)([dhms])", text))


def simulated() -> list[Row]:
    """Rows alerts/...; the flights' rules, and for each example whether all its scenarios hold."""
    flights, *_ = subjects = [subject_of(load_pipeline(str(ROOT / each))) for each in PIPELINES]
    return [*_holds(subjects), *_covered(subjects), *_times(flights)]


def _times(subject: Subject) -> list[Row]:
    by_name = {each.name: each for each in scenarios.scenarios(subject)}
    paging = {alert.name for alert in alerts(subject) if alert.severity in ("page", "escalate")}

    def run(part: str, first: int, last: int) -> dict[float, set[str]]:
        scenario = next(each for name, each in by_name.items() if part in name)
        return firing(subject, scenario, range(first, last + 1))

    killed = run(WORKER_KILLED, 20, 30)
    quiet = run(QUIET, 60, 239)
    return [
        at_most("alerts/worker killed: absent pages after", _first(killed, {"TidegateWorkerAbsent"}) - 20, "min"),
        at_most(
            "alerts/worker killed: stall or lag pages after",
            _first(killed, {"TidegateConsumerStalled", "TidegateLagHigh"}) - 20,
            "min",
            7,
        ),
        at_most("alerts/10 events an hour failing completely: pages after", (_first(quiet, paging) - 60) / 60, "h", 2.5),
        at_most("alerts/simulated hour, a deployment, a rolling restart/pages", _pages(run(ORDINARY, 1, 69), paging), "pages", 0),
        at_most("alerts/simulated backlog of 100,000 draining/pages", _pages(run(BACKLOG, 1, 59), paging), "pages", 0),
    ]


def _first(found: Mapping[float, set[str]], names: set[str]) -> float:
    return min((minute for minute, firing_then in found.items() if firing_then & names), default=float("inf"))


def _pages(found: Mapping[float, set[str]], paging: set[str]) -> int:
    return len({name for names in found.values() for name in names & paging})


def _holds(subjects: Iterable[Subject]) -> list[Row]:
    """The files beside the rules, as an operator would run them."""
    rows = []
    for subject in subjects:
        files = sorted((ROOT / "deploy" / "prometheus").glob(f"{subject.pipeline}.*test.yml"))
        failed = [path for path in files if subprocess.run(["promtool", "test", "rules", path.name], cwd=path.parent).returncode]
        number = len(scenarios.scenarios(subject))
        rows += [
            Row(f"alerts/{subject.pipeline}/scenarios", number, "scenarios"),
            at_most(f"alerts/{subject.pipeline}/files of scenarios that fail", len(failed), "files", 0),
        ]
    return rows


def _covered(subjects: Iterable[Subject]) -> list[Row]:
    """Each alert fires in a scenario and is silent in it, has its runbook's section and its dashboard's panel."""
    panels = {
        path.stem: set(re.findall(r'"title": "([^"]+)"', path.read_text()))
        for path in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    }
    rows = []
    for subject in subjects:
        found = alerts(subject)
        told = [names for each in scenarios.scenarios(subject) for names in [set().union(*each.fires.values())] if names]
        fires = set().union(*told) | {"TidegateWatchdog"}
        books = {alert.name: ROOT / "docs" / "runbooks" / f"{alert.family}.md" for alert in found}
        without = {
            "a scenario": [alert.name for alert in found if alert.name not in fires],
            "a section in its runbook": [
                name for name, book in books.items() if f"\n## {name}\n" not in (book.read_text() if book.is_file() else "")
            ],
            "a panel on its dashboard": [
                alert.name for alert in found if alert.panel[1] not in panels.get(alert.panel[0], set())
            ],
        }
        rows += [Row(f"alerts/{subject.pipeline}/alerts", len(found), "alerts")]
        rows += [
            at_most(f"alerts/{subject.pipeline}/alerts without {what}", len(names), "alerts", 0)
            for what, names in without.items()
        ]
    return rows
