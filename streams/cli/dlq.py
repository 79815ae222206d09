"""`tidegate dlq`: dead letters looked at, and their records sent again once the reason is mended. The work is done in streams."""

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from featurestore.definitions import seconds
from featurestore.errors import DefinitionError
from streams.cli.errors import told_plainly
from streams.cli.progress import steps
from streams.loading import load_pipeline
from streams.records import REASONS
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.dead_letters import Letter, Standing

SHOWN = 5  # positions of records that are gone, by topic


class Since(click.ParamType):
    """A moment as seconds since the epoch: a date or time in UTC, or a length of time before now."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> float:
        text = str(value)
        for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"):
            try:
                return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
        try:
            return time.time() - seconds(text)
        except DefinitionError:
            self.fail(
                f"{text!r} is no time; write 2026-05-01, 2026-05-01T12:00:00 (UTC) or a length such as 2h or 7d", param, context
            )


REASON = click.option(
    "--reason", "reasons", multiple=True, type=click.Choice(REASONS), help="Of this reason only; may be repeated."
)
SINCE = click.option(
    "--since", type=Since(), default="1970-01-01", help="Rejected since: 2026-05-01, 2026-05-01T12:00:00 (UTC), 2h, 7d."
)


@click.group(
    epilog="""\b
Examples:
  tidegate dlq list pipeline.py
  tidegate dlq replay pipeline.py --reason contract --since 2h"""
)
def dlq() -> None:
    """Look at a pipeline's dead letters; send their records again.

    A record that is not an event (and an event that could not be scored) leaves a letter on <pipeline>.dead-letters: the reason,
    the field, and where the record lies in Kafka. Mend the reason, restart the workers, then replay.
    """


@dlq.command(
    "list",
    epilog="""\b
Examples:
  tidegate dlq list pipeline.py
  tidegate dlq list pipeline.py --reason contract --since 7d --newest 50
As they come: tidegate tail pipeline.py --topic dead-letters""",
)
@click.argument("pipeline")
@REASON
@SINCE
@click.option("--newest", default=10, show_default=True, type=click.IntRange(min=0), help="So many are shown one by one.")
def list_(pipeline: str, reasons: tuple[str, ...], since: float, newest: int) -> None:
    """Count a PIPELINE's dead letters by reason; show the newest."""
    from streams.dead_letters import read_letters

    with told_plainly():
        settings, found = Settings.from_environment(os.environ), load_pipeline(pipeline)
        with steps(Console(stderr=True)) as progress:
            letters = asyncio.run(read_letters(settings.kafka, found.name, reasons, since, progress))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a pipe has no width to fold to
    if not letters:
        console.print("No dead letters.")
        return
    console.print(_counts(letters))
    if newest:
        console.print(_newest(letters[-newest:]))


def _counts(letters: "list[Letter]") -> Table:
    from streams.dead_letters import by_reason

    table = Table("reason", "letters", "first", "last", "what they are", box=box.SIMPLE, pad_edge=False)
    for reason, count in by_reason(letters).items():
        times = [letter.rejected_time for letter in letters if letter.reason == reason]
        merged = all(letter.merged for letter in letters if letter.reason == reason)
        what = "events that count in features and have no prediction" if merged else "records that are no events"
        table.add_row(reason, f"{count:,}", _moment(min(times)), _moment(max(times)), what)
    return table


def _newest(letters: "list[Letter]") -> Table:
    table = Table("rejected (UTC)", "reason", "record", "field", "detail", box=box.SIMPLE, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for letter in reversed(letters):
        where = f"{letter.topic}/{letter.partition} offset {letter.offset}"
        table.add_row(_moment(letter.rejected_time), letter.reason, where, letter.field or "", letter.detail)
    return table


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@dlq.command(
    epilog="""\b
Examples:
  tidegate dlq replay pipeline.py --reason contract
  tidegate dlq replay pipeline.py --since 2026-05-01T12:00:00 --yes
A contract was too narrow: widen it in pipeline.py, tidegate check pipeline.py, restart the workers, then replay."""
)
@click.argument("pipeline")
@REASON
@SINCE
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay(pipeline: str, reasons: tuple[str, ...], since: float, yes: bool) -> None:
    """Send the records behind a PIPELINE's dead letters to their topics again, for workers that can take them now.

    Each record is read where its letter says that it lies and sent to the same partition with its key, value and headers, and
    the header tidegate-replay, which names the letter: what was replayed once is left out the next time, also after an
    interrupted run. What is still wrong becomes a dead letter again.

    A replayed event keeps its own time: it counts in the windows that still hold that time, and its vector is flagged late where
    they do not. Events that were merged and only lack a prediction (scoring, refused) would count a second time: they are left
    out unless their --reason is named.
    """
    from streams.dead_letters import read_letters, standing
    from streams.replaying import replay as send

    with told_plainly():
        settings, found = Settings.from_environment(os.environ), load_pipeline(pipeline)
        with steps(Console(stderr=True)) as progress:
            letters = asyncio.run(read_letters(settings.kafka, found.name, reasons, since, progress))
            merged = [letter for letter in letters if letter.merged and letter.reason not in reasons]
            wanted = [letter for letter in letters if not letter.merged or letter.reason in reasons]
            stands = asyncio.run(standing(settings.kafka, wanted, progress))
        for line in told(stands, merged, len(letters)):
            click.echo(line)
        if not stands.count:
            click.echo("Nothing to send.")
            return
        if not yes:
            click.confirm(question(stands), abort=True)
        with steps(Console(stderr=True)) as progress:
            sent = asyncio.run(send(settings.kafka, stands, progress))
    click.echo(f"{sent:,} records sent. What becomes of them: tidegate tail {pipeline}, tidegate dlq list {pipeline} --since 5m")


def told(stands: "Standing", merged: "list[Letter]", letters: int) -> list[str]:
    """What can be sent and what cannot, for people."""
    from streams.dead_letters import by_reason

    lines = [f"{letters:,} dead letters"]
    if stands.replayed:
        lines.append(f"{len(stands.replayed):,} were replayed before")
    if merged:
        reasons = by_reason(merged)
        named = " ".join(f"--reason {reason}" for reason in reasons)
        lines.append(f"{len(merged):,} are events that count in the features and would count twice; to send them too: {named}")
    if stands.gone:
        lines.append(f"{len(stands.gone):,} are gone from Kafka, by retention or with their topic, and cannot be sent:")
        lines += [f"  {where}" for where in _places(stands.gone)]
    return lines


def _places(letters: "list[Letter]") -> list[str]:
    """Where the records lay, some of each partition."""
    places: dict[str, list[int]] = {}
    for letter in letters:
        places.setdefault(f"{letter.topic}/{letter.partition}", []).append(letter.offset)
    out = []
    for where, offsets in sorted(places.items()):
        more = f" and {len(offsets) - SHOWN:,} more" if len(offsets) > SHOWN else ""
        out.append(f"{where} offset {', '.join(map(str, sorted(offsets)[:SHOWN]))}{more}")
    return out


def question(stands: "Standing") -> str:
    """What is about to be done."""
    topics: dict[str, int] = {}
    for tp, letters in stands.ready.items():
        topics[tp.topic] = topics.get(tp.topic, 0) + len(letters)
    to = ", ".join(f"{count:,} to {topic}" for topic, count in topics.items())
    again = sum(letter.merged for letters in stands.ready.values() for letter in letters)
    twice = f" ({again:,} of them will count twice)" if again else ""
    return f"Send {stands.count:,} records again ({to}){twice}?"
