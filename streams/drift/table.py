"""One window in the terminal: what it is, what drifts, the table of features, and what else is not in order.

Colour is never alone: every state has its word. A feature's own view is in detail.py, many windows' in history.py.
"""

import re
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.drift.figures import duration, listed, moment, number, plain, probability, sentence, share, shift, shown, stretch
from streams.drift.sparkline import histograms
from streams.drift.verdict import ranked, verdict
from streams.monitor.reading import Window
from streams.monitor.records import FeatureDrift, Feed, SkewReport, WindowSummary

STYLES = {"ok": "green", "warn": "yellow", "drift": "bold red", "unknown": "dim"}
ROWS = 40  # of a screen or two; what is in order beyond that is counted
WIDE = 96  # columns of the terminal below which the reference's histogram and the excess are left out: the window's say most
NAME_LEAST = 16  # columns a name is given at least, folded at its dots and underscores


def print_window(console: Console, window: Window, skew: SkewReport | None, everything: bool = False) -> None:
    """All there is to say of one window; of many features in order only some, unless `everything` is asked for."""
    for line in head(window):
        console.print(line)
    console.print()
    features = ranked(window.features)
    kept = features if everything else features[: max(ROWS, sum(one.state != "ok" for one in features))]
    console.print(table(kept, console.width))
    if len(kept) < len(features):
        console.print(f"and {len(features) - len(kept)} more, all ok (--all shows them)")
    if below := [*reasons(features), *remarks(window.summary, skew)]:
        console.print(Text("\n").join((Text(), *below)))


def head(window: Window) -> Iterator[Text]:
    """What window of what model this is, the verdict, and the figures that are of the whole window."""
    told = window.summary
    yield Text.assemble(
        (shown(told.pipeline), "bold"), f"  model {shown(told.model)} version {told.model_version}, window {told.window}"
    )
    yield Text(f"{stretch(told.window_start, told.window_end)}: {_events(told)}")
    yield Text.assemble(styled(told.state), ": " if told.severity == "none" else f", {told.severity}: ", verdict(window))
    yield Text(f"Decisions: {_decisions(told)}. Data quality: {_quality(told)}.")


def _events(told: WindowSummary) -> str:
    dropped = f"; {told.repeats:,} repeated and {told.late:,} late ones left out" if told.repeats or told.late else ""
    sampled = f", a sample of {share(told.sampled, 0)}" if told.sampled < 1 else ""
    tails = f", {told.tail_lost:,} served without a window's oldest part (a backlog?)" if told.tail_lost else ""
    return f"{told.n:,} events{sampled}{tails}{dropped}"


def _decisions(told: WindowSummary) -> str:
    if told.decision_rate is None:
        return "none are made"
    band = "no band declared"
    if told.decision_band is not None:
        inside = "in its band" if told.decision_in_band else "OUTSIDE its band"
        band = f"{inside} of {share(told.decision_band[0])} to {share(told.decision_band[1])}"
    before = "" if told.decision_rate_last_week is None else f", {share(told.decision_rate_last_week)} a week before"
    return f"{share(told.decision_rate)} positive, {band}{before}"


def _quality(told: WindowSummary) -> str:
    judged = sum(check.passed is not None for check in told.checks)
    passed = sum(check.passed is True for check in told.checks)
    return f"{share(told.quality_score)}, {passed} of {judged} checks passed" if judged else "not checked"


def styled(state: str) -> Text:
    return Text(state, style=STYLES.get(state, ""))


def table(features: Sequence[FeatureDrift], width: int) -> Table:
    """A line a feature, in `width` columns: what does not fit in a narrow terminal is left out, and names are folded."""
    wide = width >= WIDE
    columns = {"feature": "left"} | ({"reference": "left"} if wide else {}) | {"window": "left", "PSI": "right"}
    columns |= ({"excess": "right"} if wide else {}) | {"q": "right", "sees": "right", "missing": "right", "state": "left"}
    made = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name, side in columns.items():
        made.add_column(name, justify="right" if side == "right" else "left", no_wrap=name != "feature")
    cells = [_cells(one, wide) for one in features]
    others = (
        sum(max(len(name), *(len(row[place]) for row in cells)) + 1 for place, name in enumerate([*columns][1:], 1))
        if cells
        else 0
    )
    for row in cells:
        made.add_row(Text(folded(row[0].plain, max(width - others - 1, NAME_LEAST)), row[0].style), *row[1:])
    return made


def _cells(one: FeatureDrift, wide: bool) -> list[Text]:
    reference, window = histograms(one.reference_counts, one.counts)
    style = STYLES[one.state]
    severity = "" if one.severity == "none" else f", {one.severity}"
    cells = [Text(shown(one.feature), style if one.state in ("drift", "warn") else "")]
    cells += [Text(reference, "dim")] if wide else []
    cells += [Text(window, style), Text(number(one.psi))]
    cells += [Text(number(one.psi_excess))] if wide else []
    cells += [Text(probability(one.q)), Text(shift(one.minimum_detectable_shift)), Text(share(one.missing_ratio))]
    return [*cells, Text(one.state + severity, style)]


def folded(name: str, width: int) -> str:
    """A name over as many lines as it needs, broken after dots and underscores, and anywhere where there are none.

    >>> folded("payment_by_user.amount.mean.1h", 16).split()
    ['payment_by_user.', 'amount.mean.1h']
    """
    lines = [""]
    for part in re.findall(r"[^._]*[._]|[^._]+", name):
        for piece in (part[start : start + width] for start in range(0, len(part), width)):
            if len(lines[-1]) + len(piece) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(lines)


def reasons(features: Sequence[FeatureDrift]) -> Iterator[Text]:
    """Of each feature that is not in order: since when, and why."""
    for one in features:
        if one.state == "ok" or (one.state == "unknown" and one.why is None):
            continue
        since = "" if one.alarm_since is None else f" since {moment(one.alarm_since)}"
        why = "" if one.why is None else f": {sentence(one.why)}"
        yield Text.assemble((shown(one.feature), "bold"), " ", styled(one.state), f"{since}{why}")


def remarks(told: WindowSummary, skew: SkewReport | None) -> Iterator[Text]:
    """Checks that failed, feeds that are not fresh, features that differ offline."""
    for check in told.checks:
        if check.passed is False:
            limit = "" if check.limit is None else f" ({plain(check.value)}, limit {plain(check.limit)})"
            yield Text.assemble(("check failed ", "bold red"), f"{check.check}: {sentence(check.text)}{limit}")
    for feed in told.feeds:
        if feed.fresh is False:
            yield Text.assemble(("feed not fresh ", "bold red"), feed_line(feed))
    if skew is not None:
        yield skew_line(skew)


def feed_line(feed: Feed) -> str:
    ages = f"half of the values older than {duration(feed.age_p50)}, a twentieth than {duration(feed.age_p95)}"
    return f"{shown(feed.group)}: {share(feed.stale_ratio)} older than {duration(feed.limit)}; {ages}"


def skew_line(skew: SkewReport) -> Text:
    """Served against computed again offline: which features differ."""
    span = f"{stretch(skew.window_start, skew.window_end)}, {skew.events:,} events"
    differing = sorted((one for one in skew.features if one.mismatches), key=lambda one: -(one.ratio or 0.0))
    if not differing:
        return Text(f"Served as computed offline ({span}).")
    names = listed([f"{one.feature} {share(one.ratio)}" for one in differing])
    return Text.assemble(("skew ", "bold yellow"), f"differs from what is computed offline ({span}): {names}")
