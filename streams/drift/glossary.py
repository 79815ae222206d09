"""The words of the page, for who has not met them: what each statistic is, its formula, and how to read it."""

from typing import NamedTuple


class Term(NamedTuple):
    """A word, its formula in plain text where it has one, and how to read it."""

    name: str
    formula: str | None
    meaning: str


GLOSSARY = (
    Term(
        "Reference",
        None,
        "The values that the model was trained on, with m events. Its bins are fixed at training: ten that hold a tenth of the "
        "reference each for a number (fewer where values repeat), the twenty most frequent categories and the others for a "
        "category, and one for missing values. What happens in production is counted into the same bins.",
    ),
    Term(
        "Window",
        None,
        "A stretch of production that is judged at once: n events, by number or by time. Times are the events' own, in UTC.",
    ),
    Term(
        "PSI, population stability index",
        "Σ (q − p) · ln(q / p) over the bins; p: share of the reference, q: share of the window, 0.5 added to every count first",
        "How far apart the two distributions are; 0 means equal. Chance alone makes it larger than 0, in small windows and with "
        "many bins more so: no fixed limit fits all, and the plots show how far chance reaches.",
    ),
    Term(
        "Excess",
        "PSI − (B − 1) · (1/n + 1/m), with B bins",
        "What is left of PSI when that which chance makes on average is taken away; around 0 where nothing has changed.",
    ),
    Term(
        "p and q",
        "p: probability of such a PSI without drift; q: p corrected for the number of features (Benjamini and Hochberg, 1995)",
        "A small q says that it is not chance. What chance makes was measured on stretches of the reference: neighbouring events "
        "resemble each other, and count for less than as many independent ones.",
    ),
    Term(
        "Sees",
        None,
        "The smallest shift of the mean, in standard deviations of the reference, that a window like this one finds. A feature "
        "that is ok may have moved by less.",
    ),
    Term(
        "State",
        "alarm: q < 0.01 and excess > 0.02; drift: alarms in two of the last three windows; warn: an alarm in this one",
        "ok: no alarm. unknown: too few events, or none of the feature; this is not ok. Severity ticket: somebody should look at "
        "it in working hours; info: to be known.",
    ),
    Term(
        "Effective events",
        None,
        "As how many independent events the window's n count: far fewer where values change slowly.",
    ),
    Term(
        "Jensen-Shannon distance",
        "√(½ Σ p · log₂(p / c) + ½ Σ q · log₂(q / c)) with c = (p + q) / 2",
        "Another measure of how far apart two distributions are: from 0, equal, to 1, nothing in common.",
    ),
    Term(
        "Wasserstein distance",
        "the area between both cumulated distributions, each bin standing at the mean of the reference's rows in it, "
        "divided by the reference's standard deviation",
        "How far the values have moved on average, in standard deviations. Only of numbers.",
    ),
    Term(
        "Confidence",
        "max(p, 1 − p) of the calibrated probability p",
        "How sure the model is of its decision. Less of it, without a change in the decisions, often comes before worse ones.",
    ),
    Term(
        "Data quality",
        "checks passed / checks judged",
        "Of one window: types, ranges, missing values, categories never seen, constant values, repeated ids, volume.",
    ),
    Term(
        "Feed",
        None,
        "A group of features that a stream of events keeps up to date. It is fresh where an entity's newest event was recent "
        "enough when its features were used.",
    ),
    Term(
        "Skew",
        "mismatches / values compared",
        "Features of some served events are computed again offline, from the same history. They must be the same; where they are "
        "not, the model is served other values than it was trained on.",
    ),
)
