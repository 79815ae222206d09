"""`tidegate alerts`: from what a pipeline and its teams declare to what Prometheus and Alertmanager read."""

import click

from streams.cli.alerts_render import render
from streams.cli.alerts_routes import routes


@click.group(
    epilog="""\b
Examples:
  tidegate alerts render pipeline.py
  tidegate alerts routes deploy/alertmanager/teams.yml pipeline.py --out deploy/alertmanager/alertmanager.yml"""
)
def alerts() -> None:
    """Make the alerts' rules, and the routes to who is told of them."""


alerts.add_command(render)
alerts.add_command(routes)
