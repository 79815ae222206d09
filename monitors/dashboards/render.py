"""The dashboards as the JSON files that Grafana is provisioned with, and as lines for the docs."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitors.dashboards.board import Board, built
from monitors.dashboards.debug import debug
from monitors.dashboards.executive import executive
from monitors.dashboards.on_call import on_call

RUNBOOKS = "docs/runbooks"


def boards(runbooks: str = RUNBOOKS) -> Sequence[Board]:
    """The three, in the order in which trouble is followed up."""
    return executive(), on_call(runbooks), debug()


def rendered(runbooks: str = RUNBOOKS) -> dict[str, str]:
    """The text of each file by its name. ``runbooks`` begins the way to each runbook: a folder, or a URL."""
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    return {f"{board.uid}.json": encoder.encode(built(board, runbooks)) + "\n" for board in boards(runbooks)}


def listed() -> str:
    """A Markdown table a dashboard: panels and what they show."""
    tables = []
    for board in boards():
        lines = [f"### {board.title}", "", board.purpose, "", "| panel | shows |", "|---|---|"]
        lines += [f"| {panel.title} | {panel.shows} |" for row in board.rows for panel in row.panels]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)
