"""The alerts that fire, the most severe first, as a table: Prometheus' own ALERTS, so that it shows what Alertmanager is told."""

from typing import Any

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.common import FieldTextAlignment
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitors.dashboards.colours import BLUE, ORANGE, RED, YELLOW, words
from monitors.dashboards.looks import GRAPH_HEIGHT, is_url, queries
from monitors.dashboards.series import FIRING, Line

SEVERITIES = {4: ("escalate", RED), 3: ("page", ORANGE), 2: ("ticket", YELLOW), 1: ("info", BLUE)}
FIRST = ("Value", "alertname", "runbook", "team", "owner", "family")
HIDDEN = ("Time", "alertstate", "pipeline", "severity")


def ranked() -> str:
    """Firing alerts by rank of severity. TidegateWatchdog, which always fires, has none and is left out."""
    return " or ".join(f'{rank} * ALERTS{{{FIRING},severity="{name}"}}' for rank, (name, _) in SEVERITIES.items())


def firing(runbooks: str) -> table.Panel:
    """The table; an alert's own labels, such as group or feature, come last. ``runbooks`` begins the way to each runbook."""
    line = Line(f'label_replace({ranked()}, "runbook", "{runbooks}/$1.md", "family", "(.+)")')
    made = table.Panel().targets(queries([line], now=True, form=PromQueryFormat.TABLE)).span(24).height(GRAPH_HEIGHT).unit("none")
    made.align(FieldTextAlignment.AUTO).inspect(False)
    made.no_value("no alert fires").sort_by([common.TableSortByFieldState().display_name("severity").desc(True)])
    made.with_transformation(DataTransformerConfig("organize", options=_columns()))
    made.override_by_name(
        "severity",
        [
            DynamicConfigValue("mappings", words(SEVERITIES)),
            DynamicConfigValue("custom.cellOptions", {"type": "color-background"}),
            DynamicConfigValue("custom.width", 100),
        ],
    )
    if is_url(runbooks):
        link = {"title": "Runbook", "url": f"{runbooks}/${{__data.fields.family}}.md", "targetBlank": True}
        made.override_by_name("runbook", [DynamicConfigValue("links", [link])])
    return made


def _columns() -> dict[str, Any]:
    return {
        "indexByName": {name: place for place, name in enumerate(FIRST)},
        "renameByName": {"Value": "severity", "alertname": "alert"},
        "excludeByName": dict.fromkeys(HIDDEN, True),
    }
