"""The rows and the words of the view that are about drift: what was put in, and what the monitor says of it."""

from collections.abc import Sequence

from rich.text import Text

from streams.demo.findings import Findings
from streams.demo.snapshot import Drift, PutIn
from streams.monitor.records import Check, FeatureDrift, Feed, WindowSummary

WORST = 4  # features named
NAMED = 3  # failed checks, feeds
STYLES = {"ok": "green", "warn": "yellow", "drift": "red", "unknown": "dim"}
DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS = 86_400, 3_600, 60

Row = tuple[str, str | Text, str | Text]


def drift_rows(drift: Drift, elapsed_seconds: float) -> list[Row]:
    """For the panel: what was put in if anything was, then the monitor's word."""
    rows = [*_put_in_rows(drift.put_in, elapsed_seconds)]
    last = drift.found.last
    if not drift.monitor_alive:
        rows.append(("monitor", Text("ended", style="red"), "what follows is the last it said" if last else ""))
    if last is None:
        return [*rows, ("drift", "-", "the monitor has not judged a window yet")] if drift.monitor_alive else rows
    found = drift.found
    return [
        *rows,
        ("drift", Text(_counts(found), style=STYLES[last.state]), _window(found, drift.seconds_ago)),
        ("", "", _named(found.inputs[:WORST], "\n")),
        ("predictions", _worst_state(found.predictions), _named(found.predictions, "\n")),
        ("data quality", _score(last), _failed(last.checks) or "no check failed"),
        ("feeds", *_feeds(found, len(last.feeds))),
    ]


def drift_line(drift: Drift, elapsed_seconds: float) -> str:
    """For logs: the same on one line."""
    now = [one.what for one in drift.put_in if one.seconds <= elapsed_seconds]
    parts = [f"put in: {'; '.join(now)}"] if now else []
    found, last = drift.found, drift.found.last
    if last is None:
        return "  ".join([*parts, "no window judged yet" if drift.monitor_alive else "no monitor"])
    parts.append(f"window of {last.n:,}, {_ago(drift.seconds_ago)}: {_counts(found)}")
    shown = [one for one in found.inputs[:WORST] if one.state in ("drift", "warn")]
    parts += [_plain(one) for one in shown] + [_plain(one) for one in found.predictions if one.state in ("drift", "warn")]
    parts.append(f"quality {_score(last)}")
    if failed := _failed(last.checks):
        parts.append(f"failed: {failed}")
    if stale := found.stale_feeds:
        parts.append(f"not fresh: {', '.join(feed.group for feed in stale)}")
    return "  ".join(parts if drift.monitor_alive else [*parts, "no monitor"])


def _put_in_rows(put_in: Sequence[PutIn], elapsed_seconds: float) -> list[Row]:
    rows: list[Row] = []
    for one in put_in:
        left = one.seconds - elapsed_seconds
        when = Text(f"in {left:.0f} s", style="dim") if left > 0 else Text(f"{-left:.0f} s ago", style="yellow")
        rows.append(("put in", when, Text(one.what)))
    return rows


def _counts(found: Findings) -> str:
    states = [one.state for one in found.inputs]
    if states and set(states) == {"unknown"}:
        return "unknown"
    return f"{states.count('drift')} drift, {states.count('warn')} warn"


def _window(found: Findings, seconds_ago: float) -> str:
    last = found.last
    assert last is not None
    judged = f"of {len(found.inputs)} features in the last {last.n:,} events, {_ago(seconds_ago)}; window {found.windows}"
    return f"{judged}; {last.why}" if last.why else judged


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s ago"


def _named(features: Sequence[FeatureDrift], between: str) -> Text:
    return Text(between).join(Text(_plain(one), style=STYLES[one.state]) for one in features)


def _plain(one: FeatureDrift) -> str:
    psi = "-" if one.psi is None else f"{one.psi:.3f}"
    return f"PSI {psi} {one.state} {one.feature}"


def _worst_state(features: Sequence[FeatureDrift]) -> str | Text:
    return Text(features[0].state, style=STYLES[features[0].state]) if features else "-"


def _score(last: WindowSummary) -> str:
    return "-" if last.quality_score is None else f"{last.quality_score:.3f}"


def _failed(checks: Sequence[Check]) -> str:
    """The failed checks' own words, the first few."""
    failed = [check.text for check in checks if check.passed is False]
    more = f" and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return "; ".join(failed[:NAMED]) + more


def _feeds(found: Findings, number: int) -> tuple[str | Text, str]:
    stale = found.stale_feeds
    if not stale:
        return "fresh" if number else "-", f"{number} feeds"
    named = ", ".join(f"{feed.group} {_age(feed)}" for feed in stale[:NAMED])
    more = f" and {len(stale) - NAMED} more" if len(stale) > NAMED else ""
    return Text(f"{len(stale)} not fresh", style="red"), f"{named}{more}"


def _age(feed: Feed) -> str:
    newest = "has nothing new" if feed.youngest_age is None else f"is {_duration(feed.youngest_age)} old"
    return f"{newest} (limit {_duration(feed.limit)})"


def _duration(seconds: float) -> str:
    """
    >>> _duration(5_400)
    '1.5 h'
    """
    for length, unit in ((DAY_SECONDS, "d"), (HOUR_SECONDS, "h"), (MINUTE_SECONDS, "min")):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"
