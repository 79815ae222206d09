"""What the rules read exists, what they say is whole, and the files committed are what the examples declare."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client import generate_latest

from monitors.alerts import Recording, Subject, Timing, alerts, document, rules
from monitors.alerts.rule import duration
from monitors.errors import ObjectiveError
from monitors.job_metrics import JobTotals
from monitors.lag_metrics import PARTITION_GAUGES
from monitors.metrics import WorkerMetrics
from monitors.monitor_metrics import MonitorMetrics
from monitors.objectives import Objectives
from streams.cli import main
from tests.monitors.alerts.subjects import EXAMPLES, ROOT, RULES, WHOLE, examples, promtool

SERIES = re.compile(r"\btidegate[_:][a-zA-Z0-9_:]+")
SUBJECTS = pytest.mark.parametrize("subject", [*examples(), WHOLE], ids=lambda subject: subject.pipeline)


def expressions(subject: Subject) -> list[str]:
    return [rule.expr for group in rules(subject).values() for rule in group]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_committed_files_are_what_the_examples_declare(example: str) -> None:
    found = CliRunner().invoke(main, ["alerts", "render", str(EXAMPLES[example]), "--out", str(RULES), "--check"])
    assert found.exit_code == 0, found.output


def test_check_says_which_file_is_stale(tmp_path: Path) -> None:
    ask = ["alerts", "render", str(EXAMPLES["payments"]), "--out", str(tmp_path)]
    assert CliRunner().invoke(main, ask).exit_code == 0
    (tmp_path / "payment-fraud.rules.yml").write_text("groups: []\n")
    found = CliRunner().invoke(main, [*ask, "--check"])
    assert found.exit_code == 1
    assert "payment-fraud.rules.yml" in found.output
    assert "test.yml" not in found.output


@SUBJECTS
def test_every_recorded_series_that_is_read_is_recorded_before(subject: Subject) -> None:
    recorded: set[str] = set()
    read = set()
    for group in rules(subject).values():
        for rule in group:
            read |= {name for name in SERIES.findall(rule.expr) if ":" in name}
            recorded |= {rule.record} if isinstance(rule, Recording) else set()
    assert read <= recorded
    assert len(read) > 10


@SUBJECTS
def test_every_metric_that_is_read_is_exported(subject: Subject) -> None:
    worker = WorkerMetrics("p", ["g"], ["malformed"])
    monitor = MonitorMetrics("p", ["g"])
    monitor.jobs(JobTotals())
    exported = {metric.name for registry in (worker.registry, monitor.registry) for metric in registry.collect()}
    exported |= {f"{name}_{suffix}" for name in exported for suffix in ("total", "bucket", "count")}
    exported |= {name for name, _, _ in PARTITION_GAUGES} | {"tidegate_lag_last_look_timestamp_seconds"}
    # Known only where the kernel sets a limit.
    exported |= {"tidegate_process_memory_limit_bytes"}
    read = {name for expr in expressions(subject) for name in SERIES.findall(expr) if ":" not in name}
    assert read - exported == set()


def test_the_latency_bound_is_written_as_the_client_writes_it() -> None:
    """le="0.2", and "300.0": another string matches no bucket, and silently empties the objective."""
    exported = generate_latest(WorkerMetrics("shop", ["g"], ["malformed"]).registry).decode()
    for bound in (0.2, 1.0, 300.0):
        subject = replace(WHOLE, objectives=Objectives(latency_seconds=bound))
        bounds = {found for expr in expressions(subject) for found in re.findall(r'le="([^"]+)"', expr)}
        assert len(bounds) == 1
        assert f'le="{bounds.pop()}"' in exported


def test_a_bound_between_two_buckets_is_refused() -> None:
    with pytest.raises(ObjectiveError, match=r"0\.2"):
        replace(WHOLE, objectives=Objectives(latency_seconds=0.3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scored": 1.0},
        {"fast": 0.0},
        {"fresh": 0.8},
        {"rejected": 1.0},
        {"skew": -0.1},
        {"quality": 0.0},
        {"volume": 1.1},
        {"lag_seconds": 0.0},
        {"lag_seconds": float("nan")},
        {"model_age_days": -1.0},
    ],
)
def test_objectives_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ObjectiveError, match=next(iter(wrong))):
        Objectives(**wrong)  # type: ignore[arg-type]


def test_an_objective_that_is_dropped_takes_its_alerts_with_it() -> None:
    bare = replace(
        WHOLE, objectives=Objectives(scored=None, fast=None, fresh=None, undrifted=None, jobs=None, model_age_days=None)
    )
    names = {alert.name for alert in alerts(bare)}
    assert not [name for name in names if "Burn" in name or "Quiet" in name]
    assert {"TidegateWorkerAbsent", "TidegateLagHigh", "TidegateRejects", "TidegateFeedFrozen"} <= names


@SUBJECTS
def test_every_alert_says_whose_it_is_how_grave_and_where_to_look(subject: Subject) -> None:
    found = [rule for group in yaml.safe_load(document(subject))["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(found) == len(alerts(subject)) == len({rule["alert"] for rule in found})
    for rule in found:
        assert rule["labels"].keys() == {"pipeline", "owner", "team", "family", "severity"}
        assert rule["labels"]["severity"] in ("escalate", "page", "ticket", "none")
        assert set(rule["annotations"]) == {"summary", "description", "runbook", "dashboard"}
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['labels']['family']}.md#{rule['alert'].lower()}"


@SUBJECTS
def test_every_alert_names_a_panel_that_is_on_the_dashboard(subject: Subject) -> None:
    for alert in alerts(subject):
        dashboard, panel = alert.panel
        text = (ROOT / "deploy" / "grafana" / "dashboards" / f"{dashboard}.json").read_text()
        titles = {one["title"] for one in json.loads(text)["panels"]}
        assert panel in titles, (alert.name, dashboard)


@SUBJECTS
def test_alerts_are_muted_by_alerts_that_exist_and_that_wake_somebody(subject: Subject) -> None:
    severity = {alert.name: alert.severity for alert in alerts(subject)}
    for alert in alerts(subject):
        for other in alert.muted_by:
            assert severity[other] in ("page", "escalate"), (alert.name, other)


@SUBJECTS
def test_an_escalation_is_muted_by_nothing_but_another_familys_cause(subject: Subject) -> None:
    """By one of its own family it would be muted in a circle; of the others only a burn's second step follows from a cause."""
    family = {alert.name: alert.family for alert in alerts(subject)}
    for alert in alerts(subject):
        if alert.severity == "escalate":
            assert not alert.muted_by or alert.name.endswith("BurnFast"), alert.name
            assert family[alert.name] not in {family[other] for other in alert.muted_by}, alert.name


@pytest.mark.parametrize("scale", [1.0, 0.05, 0.001])
def test_prometheus_accepts_the_rules_at_any_scale(scale: float, tmp_path: Path) -> None:
    path = tmp_path / "shop.rules.yml"
    path.write_text(document(WHOLE, Timing(scale)))
    found = subprocess.run([promtool(), "check", "rules", str(path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "FAILED" not in found.stdout + found.stderr


def test_a_scale_shortens_windows_and_waits_and_nothing_else() -> None:
    whole, drill = document(WHOLE), document(WHOLE, Timing(0.01))
    strip = re.compile(r"\[[0-9a-z]+\]|offset [0-9a-z]+|for: [0-9a-z]+")
    assert strip.sub("", whole) == strip.sub("", drill)
    assert "offset 1w" in drill  # the calendar's week is no window


@pytest.mark.parametrize(("seconds", "text"), [(300, "5m"), (5400, "90m"), (0.25, "250ms"), (86_400, "1d"), (1.5, "1500ms")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_feeds_are_the_topics_that_only_fill_features() -> None:
    """Departures are scored; arrivals and weather only feed, each by its group that may be least old."""
    flights = next(each for each in examples() if each.pipeline == "flight-delays")
    assert {(feed.group, feed.limit_seconds) for feed in flights.feeds} == {
        ("arrival_by_origin", 16 * 3600.0),
        ("weather_by_origin", 2 * 3600.0),
    }


def test_a_producer_error_that_no_dead_letter_can_have_is_refused(tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline.py"
    source = (ROOT / "examples" / "payments" / "pipeline.py").read_text()
    source = source.replace(
        'model="payment-fraud",', 'model="payment-fraud",\n    objectives=Objectives(producer_errors=("broken",)),'
    )
    pipeline.write_text(source.replace("from streams import ", "from streams import Objectives, "))
    found = CliRunner().invoke(main, ["alerts", "render", str(pipeline), "--out", str(tmp_path)])
    assert found.exit_code == 1
    assert "broken" in found.output
    assert "malformed" in found.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--time-scale", "nan"], "no finite number"),
        (["--out", "/proc/rules"], "cannot be written"),
        ([str(EXAMPLES["payments"])], "named 'payment-fraud'"),
    ],
)
def test_what_cannot_be_rendered_is_told_in_a_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    where = [] if "--out" in arguments else ["--out", str(tmp_path)]
    found = CliRunner().invoke(main, ["alerts", "render", str(EXAMPLES["payments"]), *where, *arguments])
    assert found.exit_code in (1, 2)
    assert words in found.output.splitlines()[-1]
