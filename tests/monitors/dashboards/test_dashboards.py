"""The dashboards: committed as the code writes them, about series that exist, readable by Grafana's own types, laid out well."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitors.dashboards.render import RUNBOOKS, boards, listed, rendered
from tests.monitors.dashboards.exported import RECORDED, known
from tests.monitors.dashboards.promql import metrics

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "deploy" / "grafana" / "dashboards"
# Alerts send people to these, by title.
NAMED = {
    "tidegate-on-call": (
        "Alerts",
        "Budget burn",
        "Events by outcome",
        "Latency p95 and p99",
        "Lag in seconds",
        "Consumer status",
        "Retention used",
        "Lost records",
        "Feed age",
        "Dead letters by reason",
        "Rebalances",
        "Model versions",
        "Volume against last week",
        "Processes",
        "Memory against limit",
        "Restarts",
        "Redis",
        "Decision rate",
        "Failed looks of the lag monitor",
    ),
    "tidegate-debug": (
        "PSI by feature",
        "Drift state by feature",
        "PSI against its null band",
        "Feature windows by state",
        "Skew by feature",
        "Quality checks failed",
        "Data quality score",
        "Stage latencies",
        "Chunk size",
        "Feature age",
        "Model age",
        "Model load failures",
        "Jobs",
        "Unmerged events",
    ),
    "tidegate-executive": (
        "Health",
        "Budgets left",
        "p95 latency",
        "Cost per 1000 events",
        "Live version",
        "Features in drift",
        "Alerts by severity",
    ),
}
FAMILIES = (
    "contract",
    "traffic",
    "scoring",
    "latency",
    "freshness",
    "model",
    "drift",
    "quality",
    "lag",
    "presence",
    "store",
    "process",
    "jobs",
    "watchdog",
)
DASHBOARDS = {name.removesuffix(".json"): json.loads(text) for name, text in rendered().items()}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """Of panels, annotations and variables: what label_values is asked for is an expression, too."""
    found = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    found += [mark["expr"] for mark in dashboard["annotations"]["list"]]
    return found + [re.sub(r"label_values\((.*), \w+\)", r"\1", one["query"]) for one in dashboard["templating"]["list"]]


every_dashboard = pytest.mark.parametrize("uid", list(NAMED))


def test_committed_files_are_the_codes() -> None:
    """Byte for byte, and no other file is there that Grafana would load."""
    assert {path.name: path.read_text() for path in COMMITTED.iterdir()} == rendered(), "run: tidegate dashboards render"


@every_dashboard
def test_panels_that_alerts_name_are_there(uid: str) -> None:
    titles = [panel["title"] for panel in panels(DASHBOARDS[uid])]
    assert set(NAMED[uid]) <= set(titles)
    assert len(titles) == len(set(titles))


@every_dashboard
def test_every_metric_exists(uid: str) -> None:
    named = {name for expr in expressions(DASHBOARDS[uid]) for name in metrics(expr)}
    assert named <= known()


@pytest.mark.parametrize(
    ("expr", "named"),
    [
        ("rate(tidegate_evnts_total[5m])", {"tidegate_evnts_total"}),
        ('max by (group) (up{job="a"}) or 0 * count(ALERTS) offset 5m', {"up", "ALERTS"}),
        ('label_replace(a:b:c, "to", "$1", "from", "(.+)") > bool on (x) 1e3', {"a:b:c"}),
    ],
)
def test_unknown_metrics_would_be_found(expr: str, named: set[str]) -> None:
    assert metrics(expr) == named


@every_dashboard
def test_expressions_are_of_one_pipeline(uid: str) -> None:
    """Unless their metric has none: the lag process watches groups, and itself."""
    for expr in expressions(DASHBOARDS[uid]):
        free = all(name.startswith(("tidegate_lag_", "tidegate_events_total")) and "{" not in expr for name in metrics(expr))
        assert "${pipeline}" in expr or free, expr


@every_dashboard
def test_rates_are_over_what_grafana_says(uid: str) -> None:
    """A rate drawn over time follows the zoom; increases and changes are over the time that the panel names."""
    graphs = [panel for panel in panels(DASHBOARDS[uid]) if panel["type"] in ("timeseries", "heatmap")]
    drawn = [target["expr"] for panel in graphs for target in panel["targets"]]
    ranges = [found for expr in drawn for found in re.findall(r"\brate\([^\[]*\[([^\]]*)\]", expr)]
    assert set(ranges) == {"$__rate_interval"}


@every_dashboard
def test_legends_name_labels_of_their_query(uid: str) -> None:
    for panel in panels(DASHBOARDS[uid]):
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")):
                kept = re.findall(r"\bby \(([^)]*)\)", target["expr"])
                recorded = metrics(target["expr"]) <= set(RECORDED)
                assert recorded or any(label in group.split(", ") for group in kept), (panel["title"], label)


@every_dashboard
def test_panels_stay_clear_of_each_other(uid: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[uid]["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@every_dashboard
def test_every_panel_says_what_is_normal(uid: str) -> None:
    for panel in panels(DASHBOARDS[uid]):
        text = panel["description"]
        assert re.fullmatch(r".+\n\nNormal: .+\n\nOtherwise: .+", text, re.DOTALL), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    numbers = [panel["id"] for panel in DASHBOARDS[uid]["panels"]]
    assert len(numbers) == len(set(numbers))


def test_texts_name_panels_that_exist() -> None:
    """`Tidegate on-call, Alerts` is a title there."""
    titles = {board.title: {panel.title for row in board.rows for panel in row.panels} for board in boards()}
    text = "\n".join(panel.otherwise for board in boards() for row in board.rows for panel in row.panels)
    for title, there in titles.items():
        for named in re.findall(rf"{title}, (.+)", text):
            assert any(re.match(rf"{re.escape(one)}\b", named) for one in there), named


def test_runbooks_are_of_families_of_alerts() -> None:
    assert {panel.runbook for board in boards() for row in board.rows for panel in row.panels} <= {"", *FAMILIES}


def test_runbooks_elsewhere_are_linked() -> None:
    wiki = "https://wiki.example.org/runbooks"
    there = json.loads(rendered(wiki)["tidegate-on-call.json"])
    assert [link["url"] for link in there["links"] if link["type"] == "link"] == [wiki]
    assert f"Runbook: {wiki}/lag.md" in next(one for one in panels(there) if one["title"] == "Lag in seconds")["description"]
    alerts = next(one for one in panels(there) if one["title"] == "Alerts")
    assert f'"{wiki}/$1.md"' in alerts["targets"][0]["expr"]
    assert f"{wiki}/${{__data.fields.family}}.md" in json.dumps(alerts["fieldConfig"]["overrides"])
    assert RUNBOOKS not in json.dumps(there)


@every_dashboard
def test_grafanas_types_read_and_write_the_same(uid: str) -> None:
    """All but the mark's format of words, which Grafana's plugin for Prometheus reads and the SDK's type has no field for."""
    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(json.loads(json.dumps(DASHBOARDS[uid])))))
    mine = json.loads(json.dumps(DASHBOARDS[uid]))
    for one in (again, mine):
        (mark,) = one["annotations"]["list"]
        for word in ("titleFormat", "tagKeys", "step", "target"):
            mark.pop(word, None)
        for panel in panels(one):
            panel["fieldConfig"]["defaults"].setdefault("custom", {})
    assert again == mine


def test_runbooks_in_a_folder_are_named_and_not_linked() -> None:
    """Grafana would take the path for one of its own pages."""
    assert [link for one in DASHBOARDS.values() for link in one["links"] if link["type"] == "link"] == []
    assert "__data.fields" not in json.dumps(DASHBOARDS)


def test_links_lead_to_the_others() -> None:
    for one in DASHBOARDS.values():
        assert [link["tags"] for link in one["links"] if link["type"] == "dashboards"] == [["tidegate"]]
        assert one["tags"] == ["tidegate"]


def test_docs_list_every_panel() -> None:
    assert listed() in (ROOT / "docs" / "dashboards.md").read_text(), f"docs/dashboards.md should hold:\n{listed()}"
