"""The page: one HTML file about the newest window and those before it, for somebody who has never seen Tidegate.

What it says is put together here, how it looks is in templates/. It loads nothing: no script, no font, no picture. Jinja escapes
whatever comes from records; only our own plots are taken as markup.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from streams.drift import figures
from streams.drift.detail import contributions
from streams.drift.glossary import GLOSSARY
from streams.drift.null import Chance, chance
from streams.drift.plots import decision_plot, feature_plot, strip_plot
from streams.drift.sparkline import gathered, shares
from streams.drift.table import feed_line
from streams.drift.verdict import of_predictions, ranked, split, verdict
from streams.monitor.reading import DriftLog, Window
from streams.monitor.records import Check, FeatureDrift, FeatureSkew

FILTERS = ("number", "probability", "share", "shift", "plain", "moment", "duration", "shown")
TOLD = 3  # bins named in a sentence: more is what the plot is for
PART = 0.05  # of PSI: bins that make less are not named


def page(log: DriftLog, made: float) -> str:
    """The whole page as text; `made`: when, in seconds since the epoch."""
    ordered = ranked(log.latest.features)
    features, predictions = split(ordered)
    return (
        _environment()
        .get_template("page.html")
        .render(
            told=log.latest.summary,
            verdict=verdict(log.latest),
            windows=log.windows,
            made=made,
            versions=versions(log.windows),
            features=features,
            predictions=predictions,
            plots={one.feature: feature_plot(one, log.windows) for one in shown_whole(ordered)},
            strip=strip_plot(log.windows, [one.feature for one in ordered]) if ordered else Markup(),
            decisions=decision_plot(log.windows) if log.latest.summary.decision_rate is not None else None,
            checks=by_outcome(log.latest.summary.checks),
            skew=log.skew,
            differing=differing([] if log.skew is None else log.skew.features),
            glossary=GLOSSARY,
        )
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("streams.drift"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {name: getattr(figures, name) for name in FILTERS} | {"thousands": "{:,.0f}".format, "name": breakable}
    made.globals |= {
        "stretch": figures.stretch,
        "chance": chance,
        "against_chance": against_chance,
        "moved": moved,
        "mass": mass,
        "feed_line": feed_line,
    }
    return made


def breakable(name: str) -> Markup:
    """A feature's name that a narrow column may break after its dots and underscores."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(figures.shown(name)))))


def shown_whole(features: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    """What gets plots: every feature that warns or drifts, and the predictions, which everybody asks about."""
    return [one for one in features if one.state in ("warn", "drift") or of_predictions(one.feature)]


def mass(one: FeatureDrift) -> tuple[list[tuple[float, float]], float]:
    """(reference, window) of each bin as shares, for the small histogram, and the largest of them."""
    both = list(zip(gathered(shares(one.reference_counts)), gathered(shares(one.counts)), strict=True))
    return both, max((max(pair) for pair in both), default=0.0)


def against_chance(one: FeatureDrift, expected: Chance | None) -> str:
    """PSI in words, beside what chance makes of a window of this size."""
    if one.psi is None:
        return "PSI could not be told."
    if expected is None:
        return f"PSI is {figures.number(one.psi)}."
    beside = f"by chance alone 99 of 100 windows of this size stay below {figures.number(expected.high)}"
    return f"PSI is {figures.number(one.psi)}; {beside}, and an alarm takes more than {figures.number(expected.alarm)}."


def moved(one: FeatureDrift) -> str:
    """The bins that make most of PSI, with what became of their shares; nothing of a feature in order, where it is noise."""
    base, now, added = shares(one.reference_counts), shares(one.counts), contributions(one)
    most = sorted(range(len(added)), key=lambda place: -added[place])[:TOLD]
    places = [at for at in most if added[at] > PART * sum(added)]
    if one.state not in ("warn", "drift") or not places:
        return ""
    told = (f"{figures.shown(one.bins[at])} from {figures.share(base[at])} to {figures.share(now[at])}" for at in places)
    return f"Most of it: {'; '.join(told)} of events."


def versions(windows: Sequence[Window]) -> list[tuple[int, float]]:
    """Each model version in turn, and the start of its first window."""
    turns = groupby(windows, key=lambda window: window.summary.model_version)
    return [(version, next(iter(group)).summary.window_start) for version, group in turns]


def by_outcome(checks: Sequence[Check]) -> dict[str, list[Check]]:
    """Checks that failed, that could not be judged, and that passed."""
    outcomes = {"failed": False, "not judged": None, "passed": True}
    return {name: [check for check in checks if check.passed is outcome] for name, outcome in outcomes.items()}


def differing(features: Sequence[FeatureSkew]) -> list[FeatureSkew]:
    """Those that differ from what is computed offline, the worst first."""
    return sorted((one for one in features if one.mismatches), key=lambda one: -(one.ratio or 0.0))
