"""A dashboard as data, and how it becomes Grafana's: variables, links, the mark of a deployment, panels in rows."""

from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as models

from monitors.dashboards.looks import PROMETHEUS, is_url
from monitors.dashboards.series import THIS

TAG = "tidegate"  # the dashboards link to each other by it
SERVING = f"count by (model, version) (tidegate_model_info{{{THIS}}}"
DEPLOYED = f"{SERVING}) unless {SERVING} offset 5m)"  # a version that serves and did not five minutes ago
# A deployment shows for the five minutes of DEPLOYED: steps of one minute cannot miss it.
MARK_STEP = "60s"

Look = timeseries.Panel | stat.Panel | table.Panel | statetimeline.Panel | heatmap.Panel


@dataclass(frozen=True, slots=True)
class Panel:
    """What is shown, what is normal, and what it means or what to do otherwise. The docs list what is shown.

    ``runbook``: the family of alerts whose page tells more.
    """

    title: str
    shows: str
    normal: str
    otherwise: str
    look: Look
    runbook: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: for whom it is, from when on it shows, its rows. ``features``: one feature can be chosen."""

    uid: str
    title: str
    purpose: str
    since: str
    rows: tuple[Row, ...]
    features: bool = False


class DeploymentMark(models.AnnotationQuery):
    """The SDK's annotation with what Grafana's Prometheus plugin reads beside it: the query as a target, and the words."""

    def to_json(self) -> dict[str, object]:
        target = {"expr": self.expr, "interval": MARK_STEP, "refId": "Anno"}
        words = {"titleFormat": "{{model}} v{{version}} serves", "tagKeys": "model,version"}
        return {**super().to_json(), **words, "step": MARK_STEP, "target": target}


def built(board: Board, runbooks: str) -> models.Dashboard:
    """Grafana's model of a dashboard. ``runbooks`` begins the way to each runbook: a folder, or a URL."""
    made = builders.Dashboard(board.title).uid(board.uid).description(board.purpose).tags([TAG]).editable()
    made.time(board.since, "now").refresh("30s").timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR)
    made.with_variable(_variable("pipeline", "label_values(tidegate_events_total, pipeline)"))
    if board.features:
        made.with_variable(_variable("feature", f"label_values(tidegate_feature_drift_psi{{{THIS}}}, feature)"))
    made.link(
        builders.DashboardLink("Tidegate")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )
    if is_url(runbooks):
        made.link(builders.DashboardLink("Runbooks").type(models.DashboardLinkType.LINK).url(runbooks).target_blank(True))
    number = 0
    for row in board.rows:
        made.with_row(builders.Row(row.title).id(number := number + 1))
        for panel in row.panels:
            made.with_panel(_titled(panel, runbooks).id(number := number + 1).datasource(PROMETHEUS))
    dashboard = made.build()
    dashboard.annotations.list_val = [_deployments()]
    return dashboard


def _titled(panel: Panel, runbooks: str) -> Any:
    """The panel's builder, whose kinds have these methods in common and no base."""
    says = [panel.shows, f"Normal: {panel.normal}", f"Otherwise: {panel.otherwise}"]
    if panel.runbook:
        says.append(f"Runbook: {runbooks}/{panel.runbook}.md")
    return panel.look.title(panel.title).description("\n\n".join(says))


def _variable(name: str, query: str) -> builders.QueryVariable:
    made = builders.QueryVariable(name).query(query).datasource(PROMETHEUS).sort(models.VariableSort.ALPHABETICAL_ASC)
    return made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).label(name)


def _deployments() -> DeploymentMark:
    return DeploymentMark(name="Deployments", datasource=PROMETHEUS, enable=True, icon_color="blue", expr=DEPLOYED)
