"""Checks of a window's data, and the share of them that passed.

A check compares a share of the window's events with a limit, and fails where more lie above it than chance explains: one-sided
binomial test at LEVEL. A few events of a small window therefore fail nothing, and a window too small to fail is not judged.
Features whose values stick together count with their effective number of events. Every limit has its reason beside it, and
docs/quality.md says what to do where one is passed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from monitors.feeds import feeds
from monitors.quality_tally import QualityTally

CHECKS = (
    "type",
    "range",
    "missing",
    "unseen",
    "constant",
    "frozen_feed",
    "monotone_time",
    "duplicate_id",
    "volume",
)
RESULTS = ("passed", "failed", "unknown")
REFUSED_TYPE, REFUSED_RANGE, REFUSED_UNSCORED = REFUSALS = ("type", "range", "unscored")

# A window of 30 features has some 100 checks, of which a handful are near their limit: a false failure in hundreds of windows.
LEVEL = 0.001
REFUSED_LIMIT = 0.01  # rejects above 1 % page (docs/quality.md)
# Of new values, 2 in m + 1 lie outside the least and greatest of m earlier ones by chance; what drifts slowly goes past them,
# too, and is drift's to judge. A changed unit or sign puts most values outside.
OUTSIDE_LIMIT = 0.05
MISSING_MARGIN = 0.05  # above the reference's own share; what one model was trained with is no fault
UNSEEN_MARGIN = 0.02  # likewise: a catalogue grows, a renamed category is a share of all events at once
MISPLACED_LIMIT = 0.01  # windows keep their tails for stragglers (lateness_tiles): 1 % behind that is a clock or a producer
DUPLICATE_LIMIT = 0.01  # each counts twice in every feature: a count is then 1 % off
# Half or double the same hour last week: holidays and campaigns stay within, an outage or a loop does not.
VOLUME_LOW, VOLUME_HIGH = 0.5, 2.0
VOLUME_SECONDS_MIN = 300.0  # a shorter stretch may be a burst or a lull of any sound stream; an hour has both


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check, as streams.monitor.records.Check has it: ``passed`` None where it could not be judged."""

    check: str
    subject: str | None
    passed: bool | None
    value: float | None
    limit: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureFacts:
    """One feature's window beside its reference.

    Of the window: ``n`` events, ``effective_n`` what they are worth where values stick together (None: n), ``counts`` int64
    (bins,) of the known values, ``missing``, ``below`` and ``above`` (the reference's least and greatest value), ``unseen``
    (categories), ``lowest`` and ``highest`` value, NaN without any. Of the reference: ``reference_counts`` int64 (bins,) of the
    known values, and the shares of its events that are missing, and (of held-out ones) unseen.
    """

    name: str
    category: bool
    n: int
    effective_n: float | None
    counts: npt.NDArray[np.int64]
    missing: int
    below: int
    above: int
    unseen: int
    lowest: float
    highest: float
    reference_counts: npt.NDArray[np.int64]
    reference_missing: float
    reference_unseen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Events of the scored topic in a stretch of event time, and in the same hour last week; lengths in seconds."""

    events: int
    seconds: float
    last_week_events: int
    last_week_seconds: float


def checks(
    features: Iterable[FeatureFacts],
    tally: QualityTally,
    groups: Sequence[str],
    lateness_seconds: float,
    volume: Volume | None = None,
    sampled: float = 1.0,
) -> list[Check]:
    """Every check of one window; `groups` name the feature groups in the order of the tally's ages.

    `lateness_seconds`: how far out of order events may be. `volume` is None where last week is not known. `sampled` is the share
    of the events that were counted; rejects are counted all.
    """
    out = _refused(tally, sampled)
    for one in features:
        out += _of_feature(one)
    out += [_frozen(feed.group, feed.fresh, feed.youngest_age, feed.limit) for feed in feeds(tally, groups)]
    out += [_misplaced(tally, lateness_seconds), _duplicates(tally), _volume(volume)]
    return out


def score(found: Iterable[Check]) -> float | None:
    """The data quality score: passed / judged, from 0 to 1; None where nothing could be judged."""
    judged = [check.passed for check in found if check.passed is not None]
    return sum(judged) / len(judged) if judged else None


def result(check: Check) -> str:
    """One of RESULTS."""
    return "unknown" if check.passed is None else "passed" if check.passed else "failed"


def chance(found: float, of: float, limit: float) -> float:
    """The probability that `of` events have `found` or more of what each has with probability `limit`: the binomial's upper tail.

    By the incomplete beta function, P(X >= x) = I_p(x, n - x + 1) (Abramowitz and Stegun, 26.5.24), which takes fractions, too.
    """
    if found <= 0 or limit >= 1:
        return 1.0
    return float(betainc(found, of - found + 1, limit))


def _judged(share: float, of: float, limit: float) -> bool | None:
    """Whether a share of so many (effective) events is within a limit; None where so few could not fail at all."""
    if chance(of, of, limit) > LEVEL:
        return None
    return share <= limit or chance(share * of, of, limit) > LEVEL


def _share_check(check: str, subject: str | None, found: int, of: int, limit: float, what: str, effective: float) -> Check:
    share = found / of if of else None
    return Check(
        check=check,
        subject=subject,
        passed=None if share is None else _judged(share, effective, limit),
        value=share,
        limit=limit,
        text=f"{found:,} of {of:,} {what}; {limit:.1%} at most",
    )


def _refused(tally: QualityTally, sampled: float) -> list[Check]:
    records = round(tally.n / sampled) + sum(tally.rejects.values())
    whats = {REFUSED_TYPE: "records are not what their contract says", REFUSED_RANGE: "records have a value out of its bounds"}
    return [_share_check(kind, None, tally.rejects[kind], records, REFUSED_LIMIT, what, records) for kind, what in whats.items()]


def _of_feature(one: FeatureFacts) -> list[Check]:
    known = one.n - one.missing
    effective = one.n if one.effective_n is None else min(float(one.n), one.effective_n)
    known_effective = effective * known / one.n if one.n else 0.0
    out = []
    if not one.category:
        outside = one.below + one.above
        what = f"values outside {one.name}'s range at training"
        out.append(_share_check("range", one.name, outside, known, OUTSIDE_LIMIT, what, known_effective))
    limit = min(1.0, one.reference_missing + MISSING_MARGIN)
    out.append(_share_check("missing", one.name, one.missing, one.n, limit, f"values of {one.name} missing", effective))
    if one.category:
        limit = min(1.0, one.reference_unseen + UNSEEN_MARGIN)
        what = f"values of {one.name} not seen at training"
        out.append(_share_check("unseen", one.name, one.unseen, known, limit, what, known_effective))
    return [*out, _constant(one, known, known_effective)]


def _constant(one: FeatureFacts, known: int, effective: float) -> Check:
    """Fails where all values are the same, and at training so many would hardly have fallen into one bin."""
    same = known > 0 and one.lowest == one.highest
    varied = known > 1 and np.count_nonzero(one.reference_counts) > 1
    passed = None if not varied else not same or (None if _by_chance(one, effective) > LEVEL else False)
    text = f"all {known:,} values of {one.name} are the same" if same else f"{known:,} values of {one.name} differ"
    return Check(check="constant", subject=one.name, passed=passed, value=float(same), limit=None, text=text)


def _by_chance(one: FeatureFacts, effective: float) -> float:
    """How likely it is that so many values fall into the one bin where the window's are, if they are as the reference's.

    0.5 more in every bin, as in the drift statistics: what the reference has none of is not impossible.
    """
    shares = (one.reference_counts + 0.5) / (float(one.reference_counts.sum()) + 0.5 * len(one.reference_counts))
    return float(shares[np.argmax(one.counts)] ** effective)


def _frozen(group: str, fresh: bool | None, youngest: float | None, limit: float) -> Check:
    text = "no age is known" if youngest is None else f"the youngest age is {youngest:,.0f} s; {limit:,.0f} s at most"
    return Check(check="frozen_feed", subject=group, passed=fresh, value=youngest, limit=limit, text=text)


def _misplaced(tally: QualityTally, lateness_seconds: float) -> Check:
    found, of = tally.sample.misplaced(lateness_seconds)
    what = f"events out of order by more than {lateness_seconds:g} s in their partition"
    return _share_check("monotone_time", None, found, of, MISPLACED_LIMIT, what, of)


def _duplicates(tally: QualityTally) -> Check:
    found, of = tally.sample.repetitions()
    return _share_check("duplicate_id", None, found, of, DUPLICATE_LIMIT, "events have the id of another", of)


def _volume(volume: Volume | None) -> Check:
    """Two counts at rates in the proportion of the limit: given their sum, one is binomial (Przyborowski and Wilenski, 1940)."""
    if volume is None or volume.last_week_events == 0 or volume.seconds < VOLUME_SECONDS_MIN:
        text = "last week's same hour is not known, or the stretch is too short"
        return Check(check="volume", subject=None, passed=None, value=None, limit=None, text=text)
    now, then, total = volume.events, volume.last_week_events, volume.events + volume.last_week_events
    stretch = volume.seconds / volume.last_week_seconds
    ratio = now / stretch / then
    limit = VOLUME_LOW if ratio < 1 else VOLUME_HIGH
    expected = limit * stretch / (1 + limit * stretch)
    tail = chance(then, total, 1 - expected) if ratio < 1 else chance(now, total, expected)
    return Check(
        check="volume",
        subject=None,
        passed=not (ratio < VOLUME_LOW or ratio > VOLUME_HIGH) or tail > LEVEL,
        value=ratio,
        limit=limit,
        text=f"{ratio:.2f} times the events of the same hour last week; {VOLUME_LOW:g} to {VOLUME_HIGH:g} times are in order",
    )
