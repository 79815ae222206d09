"""`tidegate silence`: mutes an alert for a while, with a reason; lists and ends silences. Alertmanager keeps them."""

import getpass
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from featurestore.definitions import seconds
from streams.cli.errors import told_plainly
from streams.cli.first_command import FirstCommand
from streams.settings import Settings

if TYPE_CHECKING:
    from scorer.pipeline import Pipeline
    from streams.alertmanager import ActiveAlert, Alertmanager, Silence

PIPE_WIDTH = 200  # a pipe has no width to fold to
alertmanager_url = click.option("--alertmanager", "url", help="Its address; by default TIDEGATE_ALERTMANAGER's.")


@click.group(
    cls=FirstCommand,
    epilog="""\b
Examples:
  tidegate silence card-fraud --alert TidegateFeatureDrift --for 2h --why 'new merchants since noon, see #412'
  tidegate silence card-fraud --family lag --for 30m --why 'replaying yesterday'
  tidegate silence list
  tidegate silence end 5b1ad93d-6f5c-4d1c-8c31-0a4d8a9e3b1f
What recurs belongs in a mute time: docs/routing.md""",
)
def silence() -> None:
    """Silence an alert or a family of one PIPELINE for a while; list silences; end one.

    `tidegate silence add --help` tells the options.
    """


@silence.command(
    epilog="""\b
Examples:
  tidegate silence card-fraud --alert TidegateFeatureDrift --for 2h --why 'new merchants since noon, see #412'
  tidegate silence examples/payments/pipeline.py --family lag --for 30m --why 'replaying yesterday'
  tidegate silence card-fraud --alert TidegateRetentionUsed --escalations --for 1h --why 'retention is being raised'"""
)
@click.argument("pipeline")
@click.option("--alert", help="One alert, by its alertname.")
@click.option("--family", help="One family, without its escalations: lag, freshness, drift ...")
@click.option("--for", "length", required=True, metavar="DURATION", help="How long: 30m, 2h, at most 7d.")
@click.option("--why", required=True, help="The reason, for those who wonder.")
@click.option("--who", help="Who silences; by default your user name.")
@click.option("--escalations", is_flag=True, help="Take alerts of severity escalate, too.")
@alertmanager_url
def add(
    pipeline: str,
    alert: str | None,
    family: str | None,
    length: str,
    why: str,
    who: str | None,
    escalations: bool,
    url: str | None,
) -> None:
    """Silence an alert or a family of a PIPELINE (its name, or its file, which says what alerts there are)
    from now on.

    Prints what is muted now, the silence's end and its id. The Watchdog is never silenced.
    """
    from streams.silencing import Wanted, refuse_escalation, refuse_unknown

    with told_plainly():
        declared = _declared(pipeline)
        name = pipeline if declared is None else declared.name
        wanted = Wanted(pipeline=name, alert=alert, family=family, seconds=seconds(length), why=why, escalations=escalations)
        if declared is not None:
            refuse_unknown(wanted, declared)
        server = _server(url)
        refuse_escalation(wanted, server.alerts(wanted.matchers[:2]))
        begin = datetime.now(UTC)
        end = begin + timedelta(seconds=wanted.seconds)
        made = server.silence(wanted.matchers, begin, end, who or getpass.getuser(), why)
        muted = server.alerts(wanted.matchers)
    _print_muted(muted)
    click.echo(f"silent until {end:%Y-%m-%d %H:%M} UTC: {made}\nto end it before: tidegate silence end {made}")


def _declared(pipeline: str) -> "Pipeline | None":
    """The pipeline of a file; None where only a name is given."""
    if not pipeline.partition(":")[0].endswith(".py"):
        return None
    from streams.loading import load_pipeline

    return load_pipeline(pipeline)


def _server(url: str | None) -> "Alertmanager":
    from streams.alertmanager import Alertmanager

    return Alertmanager(url or Settings.from_environment(os.environ).alertmanager)


def _print_muted(muted: "list[ActiveAlert]") -> None:
    click.echo("muted now:" if muted else "Nothing that fires now is muted; what begins to fire will be.")
    for one in muted:
        click.echo(f"  {one.name} ({one.labels.get('severity', '')}) since {one.starts_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


@silence.command(
    "list",
    epilog="""\b
Examples:
  tidegate silence list
  tidegate silence list --alertmanager http://127.0.0.1:9093""",
)
@alertmanager_url
def list_(url: str | None) -> None:
    """List the silences in force, and those to come: what each takes, until when, by whom and why."""
    with told_plainly():
        server = _server(url)
        found, firing = server.silences(), server.alerts()
    if not found:
        click.echo("No silences.")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH, highlight=False)
    console.print(_table(found, firing))


def _table(found: "list[Silence]", firing: "list[ActiveAlert]") -> Table:
    table = Table("id", "takes", "until (UTC)", "mutes now", "who", "why", box=box.SIMPLE, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].no_wrap = True
    for one in sorted(found, key=lambda silence: silence.ends_at):
        takes = " ".join(str(matcher) for matcher in one.matchers)
        muted = sum(one.id in alert.status.silenced_by for alert in firing)
        table.add_row(one.id, takes, f"{one.ends_at.astimezone(UTC):%Y-%m-%d %H:%M}", str(muted), one.created_by, one.comment)
    return table


@silence.command(
    epilog="""\b
Examples:
  tidegate silence end 5b1ad93d-6f5c-4d1c-8c31-0a4d8a9e3b1f"""
)
@click.argument("silence_id", metavar="ID")
@alertmanager_url
def end(silence_id: str, url: str | None) -> None:
    """End the silence of an ID, which `tidegate silence list` shows."""
    with told_plainly():
        server = _server(url)
        if silence_id not in {one.id for one in server.silences()}:  # Alertmanager would end one that is over, and say so
            raise click.ClickException(f"no silence {silence_id} is in force; see: tidegate silence list")
        server.end(silence_id)
    click.echo(f"{silence_id} is over; what still fires is told again")
