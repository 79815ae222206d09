"""The recurring kinds of panels: a graph, a number, codes over time, a heatmap. Title and text are board.py's."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitors.dashboards.colours import NEUTRAL, Limits, words
from monitors.dashboards.series import Line

PROMETHEUS = dashboard.DataSourceRef(type_val="prometheus", uid="tidegate-prometheus")
GRAPH_HEIGHT, NUMBER_HEIGHT = 8, 4  # of Grafana's grid, 30 pixels each
THIRD = 8  # of the grid's 24 columns


def queries(
    lines: Sequence[Line], *, now: bool = False, form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> list[Builder[Dataquery]]:
    """Queries over the dashboard's time, or of this moment alone: a series that ended has no value now."""
    made: list[Builder[Dataquery]] = []
    for ref, line in zip(ascii_uppercase, lines, strict=False):
        query = prometheus.Dataquery().expr(line.expr).legend_format(line.legend).ref_id(ref).format(form).datasource(PROMETHEUS)
        made.append(query.instant() if now else query.range())
    return made


def graph(
    unit: str,
    *lines: Line,
    limits: Limits = NEUTRAL,
    span: int = THIRD,
    top: float | None = None,
    stacked: bool = False,
    colours: Mapping[str, str] | None = None,
    dashed: Sequence[str] = (),
) -> timeseries.Panel:
    """Lines over time from 0 up; limits are dashed lines across. ``colours`` by series, ``dashed``: regexes of their names."""
    made = timeseries.Panel().targets(queries(lines)).unit(unit).span(span).height(GRAPH_HEIGHT).axis_soft_min(0)
    made.legend(_legend()).tooltip(_tooltip()).fill_opacity(30 if stacked else 0).line_width(1)
    if top is not None:
        made.axis_soft_max(top)
    if stacked:
        made.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if limits.steps:
        made.thresholds(limits.built)
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED))
    for name, colour in (colours or {}).items():
        made.override_by_name(name, [dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})])
    for regex in dashed:
        made.override_by_regexp(regex, [dashboard.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [6, 6]})])
    return made


def number(
    unit: str,
    *lines: Line,
    limits: Limits = NEUTRAL,
    span: int = 6,
    empty: str = "no data",
    names: Mapping[int, tuple[str, str]] | None = None,
    decimals: int | None = None,
    named: bool = False,
) -> stat.Panel:
    """Values of this moment; ``empty`` stands where there is none, ``names`` for codes, ``named``: each with its series' name."""
    made = stat.Panel().targets(queries(lines, now=True)).unit(unit).span(span).height(NUMBER_HEIGHT).no_value(empty)
    made.thresholds(limits.built).graph_mode(options.BigValueGraphMode.NONE)
    made.color_mode(options.BigValueColorMode.VALUE)
    made.text_mode(options.BigValueTextMode.VALUE_AND_NAME if named else options.BigValueTextMode.VALUE)
    made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if names:
        made.mappings(words(names))
    if decimals is not None:
        made.decimals(decimals)
    return made


def timeline(names: Mapping[int, tuple[str, str]], *lines: Line, span: int = THIRD) -> statetimeline.Panel:
    """A bar a series, coloured by code; a change of colour is a change of state."""
    made = statetimeline.Panel().targets(queries(lines)).span(span).height(GRAPH_HEIGHT).mappings(words(names))
    made.legend(_legend()).show_value(options.VisibilityMode.NEVER).merge_values(True).row_height(0.9).line_width(0)
    return made.fill_opacity(70).unit("none").thresholds(NEUTRAL.built)


def spread(unit: str, line: Line, span: int = THIRD) -> heatmap.Panel:
    """A histogram's buckets over time, darker the more there are; the line's series are named by bucket."""
    made = heatmap.Panel().targets(queries([line], form=PromQueryFormat.HEATMAP)).span(span).height(GRAPH_HEIGHT)
    made.y_axis(heatmap.YAxisConfig().unit(unit)).unit("short")
    return made.color(heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))


def is_url(place: str) -> bool:
    """Whether Grafana can lead there; a folder of a repository it would look for among its own pages."""
    return place.startswith(("https://", "http://"))


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)
