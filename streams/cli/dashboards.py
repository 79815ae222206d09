"""`tidegate dashboards`: the Grafana dashboards as files. What is on them is monitors.dashboards'."""

from collections.abc import Callable
from pathlib import Path

import click

from streams.cli.errors import told_plainly
from streams.errors import StreamError


@click.group(
    epilog="""\b
Example:
  tidegate dashboards render"""
)
def dashboards() -> None:
    """Write the dashboards: executive, on-call and debug, for every pipeline."""


@dashboards.command(
    epilog="""\b
Examples:
  tidegate dashboards render
  tidegate dashboards render --out /etc/grafana/dashboards --runbooks https://git.example.org/ops/docs/runbooks
How to bring them into a Grafana: docs/dashboards.md"""
)
@click.option(
    "--out",
    default=Path("deploy/grafana/dashboards"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the files; it is made where it is missing.",
)
@click.option("--runbooks", default="docs/runbooks", show_default=True, help="Where the runbooks are: a folder, or a URL.")
def render(out: Path, runbooks: str) -> None:
    """Write a JSON file a dashboard, as Grafana's provisioning reads them."""
    with told_plainly():
        files = _rendered()(runbooks)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
            click.echo(out / name)
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror}") from error


def _rendered() -> Callable[[str], dict[str, str]]:
    """What renders; StreamError where the library that only dashboards need is not installed."""
    try:
        from monitors.dashboards.render import rendered
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "grafana_foundation_sdk":
            raise
        raise StreamError(
            "dashboards need grafana-foundation-sdk, which is not installed; run: pip install 'tidegate[dashboards]'"
        ) from error
    return rendered
