"""What is written of alerts for people holds: each has its runbook section, whole, with commands that exist."""

import json
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from prometheus_client import generate_latest

from examples.payments.pipeline import pipeline as payments
from monitors.alerts import Alert, Subject, alerts, document
from monitors.lag_metrics import registry_of
from monitors.lag_snapshot import Snapshot
from monitors.metrics import WorkerMetrics
from monitors.monitor_metrics import MonitorMetrics
from monitors.process_metrics import LIMIT
from monitors.routing.render import SEVERITIES
from streams.alerting import subject_of
from streams.cli import main
from streams.cli.first_command import FirstCommand
from streams.records import REASONS
from tests.monitors.alerts.alert_table import index, muting, whole_table
from tests.monitors.alerts.subjects import ROOT, WHOLE, examples, promtool

DOCS = ROOT / "docs"
RUNBOOKS = DOCS / "runbooks"
FAMILIES = sorted(path.stem for path in RUNBOOKS.glob("*.md") if path.stem != "README")
PARTS = ["Meaning", "First look", "Command", "Do", "Escalate when", "Afterwards"]
PAGES = [DOCS / "alerting.md", *sorted(RUNBOOKS.glob("*.md"))]


def sections(family: str) -> dict[str, str]:
    """A runbook's sections by alert."""
    return dict(one.split("\n", 1) for one in (RUNBOOKS / f"{family}.md").read_text().split("\n## ")[1:])


def parts(section: str) -> dict[str, str]:
    """What stands under each of a section's bold words, in order."""
    leads = re.split(r"^\*\*([^*]+?)\.?\*\*", section, flags=re.M)
    return dict(zip(leads[1::2], (text.strip() for text in leads[2::2]), strict=True))


def commands(text: str) -> set[str]:
    """Every `tidegate ...` that is there to be copied: in shell blocks, and in sentences where it has its arguments."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.S))
    return set(re.findall(r"^\s*(tidegate .*)", blocks, flags=re.M)) | {code for code in _inline(text) if '"$' in code}


def mentions(text: str) -> set[str]:
    """Every `tidegate ...` that a sentence only names, without its arguments."""
    return {code for code in _inline(text) if '"$' not in code}


def _inline(text: str) -> list[str]:
    return re.findall(r"`(tidegate [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))


def parsed(command: str) -> click.Context:
    """The command's context, arguments and options checked as when it is run; click's exception where they are not its own."""
    name, *words = shlex.split(command, comments=True)
    words = words[: next((at for at, word in enumerate(words) if word in {"|", "||", "&&", ">"}), len(words))]
    found: click.Command = main
    context = None
    while True:
        context = found.make_context(name, list(words), parent=context)
        if not isinstance(found, click.Group):
            return context
        name, chosen, words = found.resolve_command(context, [*context._protected_args, *context.args])
        assert name is not None
        assert chosen is not None
        found = chosen


def named(mention: str) -> set[str]:
    """The options that a mention names and its command does not have; click's exception where there is no such command."""
    found: click.Command = main
    words = shlex.split(mention)[1:]
    while isinstance(found, click.Group):
        context = click.Context(found)
        first = isinstance(found, FirstCommand) and (not words or words[0] not in found.commands)
        word = next(iter(found.commands)) if first else words.pop(0) if words else ""
        if not word:
            break  # a group as such: `tidegate features`
        chosen = found.get_command(context, word)
        if chosen is None:
            raise click.UsageError(f"no such command: {mention}")
        found = chosen
    return {word for word in words if word.startswith("-")} - {name for one in found.params for name in one.opts}


def checked(rules: Path) -> None:
    """promtool takes the rules."""
    found = subprocess.run([promtool(), "check", "rules", str(rules)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


WRITTEN = sorted({command for page in PAGES for command in commands(page.read_text())})
MENTIONED = sorted({mention for page in PAGES for mention in mentions(page.read_text())})


@pytest.mark.parametrize("subject", [*examples(), WHOLE], ids=lambda one: one.pipeline)
def test_every_alert_has_its_section_where_its_annotation_says(subject: Subject) -> None:
    missing = [one.name for one in alerts(subject) if one.name not in sections(one.family)]
    assert missing == []


def test_no_alert_is_left_out_of_the_whole() -> None:
    known = {one.name for one in alerts(WHOLE)}
    assert all({one.name for one in alerts(subject)} < known for subject in examples())


def test_every_section_is_of_an_alert() -> None:
    written = [(family, name) for family in FAMILIES for name in sections(family)]
    assert sorted(written) == sorted((one.family, one.name) for one in alerts(WHOLE))


@pytest.mark.parametrize("alert", alerts(WHOLE), ids=lambda one: one.name)
def test_a_section_has_all_its_parts(alert: Alert) -> None:
    found = parts(sections(alert.family)[alert.name])
    assert list(found) == PARTS
    assert all(len(text) > 30 for text in found.values())
    assert "```sh\n" in found["Command"]
    assert re.match(r"1\. ", found["Do"])
    assert re.search(r"`(owner|team)`|those who run", found["Escalate when"])


@pytest.mark.parametrize("alert", alerts(WHOLE), ids=lambda one: one.name)
def test_the_first_look_is_the_alerts_own_panel(alert: Alert) -> None:
    text = parts(sections(alert.family)[alert.name])["First look"]
    assert text.startswith("`{}: {}`".format(*alert.panel))


def test_every_panel_that_is_named_is_on_a_dashboard() -> None:
    """By dashboard where that is said, on any of them where a first look goes on to a second panel."""
    boards = {path.stem: titles(json.loads(path.read_text())) for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    assert len(boards) == 3
    for page in PAGES:
        for board, title in re.findall(r"`(tidegate-(?:on-call|debug|executive)): ([^`]+)`", page.read_text()):
            assert title in boards[board]
    looks = [parts(section)["First look"] for family in FAMILIES for section in sections(family).values()]
    quoted = {" ".join(title.split()) for look in looks for title in re.findall(r'"([A-Z][^"]+)"', look)}
    assert len(quoted) > 5
    assert quoted <= set.union(*boards.values())


def titles(board: dict[str, Any]) -> set[str]:
    """The titles of a dashboard's panels, those in rows too."""
    inside: list[set[str]] = [titles(panel) for panel in board["panels"] if "panels" in panel]
    return {panel.get("title", "") for panel in board["panels"]}.union(*inside)


@pytest.mark.parametrize("command", WRITTEN)
def test_every_command_is_one(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "history").mkdir()
    teams = tmp_path / "deploy" / "alertmanager" / "teams.yml"
    teams.parent.mkdir(parents=True)
    teams.touch()
    monkeypatch.chdir(tmp_path)
    assert not isinstance(parsed(command).command, click.Group)


@pytest.mark.parametrize("mention", MENTIONED)
def test_every_command_that_is_named_is_one(mention: str) -> None:
    assert named(mention) == set()


@pytest.mark.parametrize(
    "command",
    ["tidegate models rollback $NAME", "tidegate lag --ever", "tidegate drift", "tidegate dlq replay $PIPELINE --reason bad"],
)
def test_a_command_that_is_none_is_found(command: str) -> None:
    """The check above can fail: an unknown command, an unknown option, too little, a value that is not taken."""
    with pytest.raises(click.UsageError):
        parsed(command)


def test_a_mention_that_is_none_is_found() -> None:
    assert named("tidegate lag --once --ever") == {"--ever"}
    with pytest.raises(click.UsageError):
        named("tidegate models rollback")


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.name)
def test_every_metric_is_one(page: Path) -> None:
    worker = WorkerMetrics("p", ["g"], REASONS, cost_usd_per_hour=1.0)
    registries = [worker.registry, MonitorMetrics("p", ["g"]).registry, registry_of(Snapshot)]
    known = "".join(generate_latest(one).decode() for one in registries) + document(WHOLE) + LIMIT
    named = set(re.findall(r"\btidegate[_:][a-z_0-9:]+[a-z0-9]", page.read_text()))
    assert [name for name in sorted(named) if name not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text()):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        headings = [] if target.is_dir() else re.findall(r"^#+ (.*)", target.read_text(), flags=re.M)
        anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
        assert not heading or heading in anchors, f"{file}#{heading}"


def test_every_alert_that_is_named_is_one() -> None:
    known = {one.name for one in alerts(WHOLE)}
    named = {name for page in PAGES for name in re.findall(r"\bTidegate[A-Z]\w+", page.read_text())}
    assert named == known


def test_every_expression_is_one(tmp_path: Path) -> None:
    """What is asked of Prometheus, as a rule that promtool parses."""
    lines = {
        line for page in PAGES for line in re.findall(r'^promtool query instant "\$PROMETHEUS" (.*)', page.read_text(), re.M)
    }
    asked = sorted(shlex.split(line)[0] for line in lines)
    assert len(asked) > 5
    rules = [{"record": f"asked:{at}", "expr": expr} for at, expr in enumerate(asked)]
    (tmp_path / "asked.rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    checked(tmp_path / "asked.rules.yml")


def test_the_index_is_the_codes() -> None:
    assert index() in (RUNBOOKS / "README.md").read_text()


def test_every_severity_is_explained() -> None:
    text = (RUNBOOKS / "README.md").read_text()
    assert all(f"\n| {one} | " in text for one in {alert.severity for alert in alerts(WHOLE)} & {*SEVERITIES, "none"})


def test_the_table_of_alerts_is_the_codes() -> None:
    assert whole_table() in (DOCS / "alerting.md").read_text()


def test_the_table_of_what_mutes_what_is_the_codes() -> None:
    assert "\n".join(muting()) in (DOCS / "alerting.md").read_text()


def test_the_example_of_objectives_runs() -> None:
    """As a part of a pipeline's file: the alerts are those that it says."""
    declared: dict[str, Any] = {}
    exec((DOCS / "alerting.md").read_text().split("```python\n")[1].split("```")[0], declared)
    changed = replace(payments, objectives=declared["objectives"], monitoring=declared["monitoring"])
    names = {one.name for one in alerts(subject_of(changed))}
    assert "TidegateDecisionRate" in names
    assert "TidegateModelOld" not in names
    assert 'le="0.5"' in document(subject_of(changed))


def test_the_example_of_an_own_rule_is_one(tmp_path: Path) -> None:
    text = (DOCS / "alerting.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "own.rules.yml").write_text(text)
    checked(tmp_path / "own.rules.yml")
    (rule,) = yaml.safe_load(text)["groups"][0]["rules"]
    generated = yaml.safe_load(document(WHOLE))["groups"][0]["rules"][-1]
    assert rule["labels"].keys() == generated["labels"].keys()
