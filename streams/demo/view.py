"""The live view: one panel on a terminal, a line every few seconds elsewhere. What it shows comes as a Snapshot."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.drift_view import drift_line, drift_rows
from streams.demo.snapshot import Alarm, Snapshot, Summary
from streams.demo.story import Words

LINE_SECONDS = 5.0
REFRESH_PER_SECOND = 4
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 100
ALARMS = 8  # that the summary names


@contextmanager
def live_view(console: Console, words: Words) -> Iterator[Callable[[Snapshot], None]]:
    """A callback that shows a snapshot; call it as often as there is news."""
    if not console.is_terminal:
        yield _Lines(console, words)
        return
    with Live(console=console, refresh_per_second=REFRESH_PER_SECOND, transient=True) as live:
        yield lambda snapshot: live.update(panel(snapshot, words))


class _Lines:
    def __init__(self, console: Console, words: Words) -> None:
        self._console, self._words, self._next = console, words, 0.0

    def __call__(self, snapshot: Snapshot) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_SECONDS
            self._console.print(line(snapshot, self._words), highlight=False, soft_wrap=True)


def line(now: Snapshot, words: Words) -> str:
    """A snapshot on one line, for logs."""
    alive = sum(alive for _, _, alive in now.workers)
    return (
        f"{now.elapsed_seconds:5.0f} s  {now.events:,} events  {now.events_per_second:,.0f}/s  {now.predictions:,} predictions  "
        f"p50 {_ms(now.p50_ms)}  p99 {_ms(now.p99_ms)}  lag {now.lag.total:,} (worst partition {now.lag.maximum:,})  "
        f"rejects {now.rejects}  model v{now.model_version or '-'}  AUC {_auc(now.quality.auc)} "
        f"({words.baseline} {_auc(now.quality.baseline_auc)}, {now.quality.labelled:,} labels)  workers {alive}  "
        f"drift: {drift_line(now.drift, now.elapsed_seconds)}"
    )


def panel(now: Snapshot, words: Words) -> RenderableType:
    """A snapshot for the terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=12)
    table.add_column(justify="right", style="bold", min_width=10)
    table.add_column()
    for row in [*_rows(now, words), *drift_rows(now.drift, now.elapsed_seconds)]:
        table.add_row(*row)
    title = f"[bold]Tidegate[/bold]  {now.model} on {words.about}, now {_moment(now.event_time)}"
    ends = "Ctrl-C ends it" if now.seconds_max is None else f"ends by itself after {now.seconds_max:.0f} s"
    return Panel(Group(table), title=title, subtitle=f"{now.elapsed_seconds:.0f} s; {ends}", width=WIDTH, padding=(1, 2))


def _rows(now: Snapshot, words: Words) -> list[tuple[RenderableType, ...]]:
    quality = now.quality
    repeats = f"{now.repeats:,} repeated" if now.repeats else "none repeated"
    lift = "" if quality.auc is None or quality.baseline_auc is None else f", {quality.auc - quality.baseline_auc:+.3f}"
    return [
        ("events", f"{now.events:,}", f"{words.sent} sent"),
        ("events/s", f"{now.events_per_second:,.0f}", Text(sparkline(now.rates), style="cyan")),
        ("predictions", f"{now.predictions:,}", repeats),
        ("latency", _ms(now.p50_ms), f"p50, p99 {_ms(now.p99_ms)}: event in Kafka to prediction in Kafka, last 10 s"),
        ("lag", f"{now.lag.total:,}", f"records not committed yet, worst partition {now.lag.maximum:,}"),
        ("rejects", f"{now.rejects:,}", f"in the dead-letter topic; {now.broken_sent} records were broken on purpose"),
        ("model", f"v{now.model_version or '-'}", now.model),
        ("AUC so far", _auc(quality.auc), f"{words.baseline} {_auc(quality.baseline_auc)}{lift}; {quality.labelled:,} labels"),
        ("workers", f"{sum(alive for _, _, alive in now.workers)}", _workers(now)),
    ]


def _workers(now: Snapshot) -> Text:
    shown = Text()
    for number, pid, alive in now.workers:
        shown.append(f"{number}: process {pid}  " if alive else f"{number}: ended  ", style="green" if alive else "red")
    return shown


def sparkline(rates: tuple[float, ...]) -> str:
    """Bars from 0 to the largest rate.

    >>> sparkline((0.0, 500.0, 1000.0))
    '▁▅█'
    """
    top = max(rates, default=0.0) or 1.0
    return "".join(BARS[round(rate / top * (len(BARS) - 1))] for rate in rates)


def summary_table(summary: Summary, words: Words) -> Table:
    """What a run came to."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right", style="bold")
    table.add_column(style="dim")
    for row in (
        ("events", f"{summary.events:,}", "sent and taken in"),
        ("predictions", f"{summary.predictions:,}", f"{summary.distinct_predictions:,} distinct"),
        ("rejects", f"{summary.rejects:,}", "in the dead-letter topic"),
        ("events/s", _number(summary.events_per_second), ""),
        ("latency p50", _ms(summary.p50_ms), "event in Kafka to prediction in Kafka"),
        ("latency p99", _ms(summary.p99_ms), ""),
        ("AUC", _auc(summary.auc), f"{words.baseline} {_auc(summary.baseline_auc)}, on the same {words.scored}"),
        ("model", f"v{summary.model_version or '-'}", ""),
        ("workers", str(summary.workers), ""),
        *(("put in", "", f"from {one.seconds:g} s on: {one.what}") for one in summary.put_in),
        ("windows", str(summary.windows), "judged by the monitor"),
        ("drifted", str(len(summary.alarms)), _alarms(summary.alarms)),
    ):
        table.add_row(*row)
    return table


def _alarms(found: list[Alarm]) -> str:
    named = [f"{one.feature} ({one.seconds:.0f} s)" for one in found[:ALARMS]]
    return ", ".join(named) + (f" and {len(found) - ALARMS} more" if len(found) > ALARMS else "")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def _auc(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B, %H:%M UTC") if seconds else "-"
