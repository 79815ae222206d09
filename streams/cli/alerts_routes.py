"""`tidegate alerts routes`: Alertmanager's configuration from a file of teams. What it holds is made in monitors.routing."""

import shlex
from collections.abc import Iterable
from pathlib import Path

import click

from monitors.errors import RoutingError
from monitors.routing import Teams, decode_teams, render
from scorer.pipeline import Pipeline
from streams.alerting import muted_by
from streams.cli.errors import told_plainly
from streams.cli.finite import FiniteRange
from streams.loading import load_pipeline


@click.command(
    epilog="""\b
Examples:
  tidegate alerts routes deploy/alertmanager/teams.yml pipeline.py
  tidegate alerts routes deploy/alertmanager/teams.yml pipeline.py --out deploy/alertmanager/alertmanager.yml
  amtool config routes test --config.file=deploy/alertmanager/alertmanager.yml team=risk severity=page
The teams file, field by field: docs/routing.md"""
)
@click.argument("teams", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of to stdout.")
@click.option("--time-scale", default=1.0, type=FiniteRange(0, min_open=True), help="Factor of every wait; drills shorten them.")
def routes(teams: Path, pipelines: tuple[str, ...], out: Path | None, time_scale: float) -> None:
    """Render the configuration of an Alertmanager that tells the TEAMS of alerts of each PIPELINE.

    Refused: a team whose pages go to a mailbox alone, a pipeline whose team is not listed, a maintenance window that never is.
    """
    with told_plainly():
        declared = decode_teams(teams.read_bytes(), str(teams))
        found = [load_pipeline(one) for one in pipelines]
        _refuse_unlisted(found, declared, teams)
        text = render(declared, muted_by(found), _command(teams, pipelines, out), time_scale)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from error
    click.echo(f"{out}: {', '.join(declared.teams)}; check it with: amtool check-config {out}", err=True)


def _refuse_unlisted(pipelines: Iterable[Pipeline], declared: Teams, where: Path) -> None:
    for one in pipelines:
        if one.team not in declared.teams:
            raise RoutingError(
                f"{where}: pipeline {one.name} belongs to team {one.team!r}, which is not listed; add it under teams, or correct "
                f"the pipeline's team (listed: {', '.join(declared.teams)})"
            )


def _command(teams: Path, pipelines: Iterable[str], out: Path | None) -> str:
    return shlex.join(["tidegate", "alerts", "routes", str(teams), *pipelines, *(["--out", str(out)] if out else [])])
