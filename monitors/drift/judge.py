"""What one window says of each feature: every statistic, and the state by the alarm rule of episode.py.

A window is suspicious of a feature when its q is below 0.01 AND its PSI beyond chance above 0.02: a small p alone is found in any
large window, a large PSI alone in any small one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from monitors.drift.detectable import EXCESS_ALARM, Q_ALARM
from monitors.drift.episode import FeatureMemory, Severity, State, alarms
from monitors.drift.null import CHUNK_EVENTS_MIN, CHUNKS_MIN
from monitors.drift.profile import PREDICTIONS, FeatureProfile, Profile
from monitors.drift.season import SeasonContext
from monitors.drift.statistics import Counts, Histograms, expected_psi, js_distance, occupied, psi, q_values, wasserstein
from monitors.drift.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One feature in one window; fields are those of the drift record (docs/topics.md). What cannot be said is None.

    ``bins``, ``counts`` and ``reference_counts`` are of the bins that were compared: those that either side has rows in, of
    predictions without the missing.
    """

    feature: str
    type: Literal["number", "category"]
    n: int
    m: int
    effective_n: float | None
    psi: float | None
    psi_excess: float | None
    js_distance: float | None
    wasserstein: float | None
    p: float | None
    q: float | None
    minimum_detectable_shift: float | None
    missing_ratio: float
    unseen_ratio: float | None
    below_ratio: float | None
    above_ratio: float | None
    state: State
    severity: Severity
    why: str | None
    alarm_since: float | None
    seasonal_psi: float | None
    seasonal_p: float | None
    history_weeks: float
    bins: list[str]
    counts: list[int]
    reference_counts: list[int]


@dataclass(frozen=True, slots=True)
class _Measured:
    """A feature's window against one reference: PSI, its part beyond chance, p and q; None for what cannot be said."""

    psi: float | None = None
    excess: float | None = None
    p: float | None = None
    q: float | None = None

    @property
    def suspicious(self) -> bool:
        return self.q is not None and self.excess is not None and self.q < Q_ALARM and self.excess > EXCESS_ALARM


def judge(
    profile: Profile,
    tally: Tally,
    start: float,
    end: float,
    memory: Sequence[FeatureMemory],
    season: SeasonContext | None,
    minimum_events: int,
) -> tuple[list[Judgement], list[FeatureMemory]]:
    """Judges a window from ``start`` to ``end`` (seconds of event time): a judgement a feature, and the memory for the next.

    ``memory`` is what the last window returned; an empty one begins. A feature that cannot be judged is `unknown` and remembers
    what it did: its window counts neither as suspicious nor as quiet.
    """
    trained = _measured(profile, tally, [np.array(feature.counts) for feature in profile.features], minimum_events)
    past = [None if season is None else season.bins[i, : feature.bins] for i, feature in enumerate(profile.features)]
    seasonal = _measured(profile, tally, past, minimum_events)
    weeks = 0.0 if season is None else season.weeks
    judged, after = [], []
    for i, remembered in enumerate(list(memory) or [FeatureMemory()] * len(profile.features)):
        feature, now = profile.features[i], trained[i]
        if now.q is not None:
            remembered = remembered.after(now.suspicious, seasonal[i].suspicious, start, end)
        verdict = _verdict(feature, tally.n, minimum_events, now, remembered, end, weeks)
        judged.append(_judgement(feature, tally, i, now, seasonal[i], weeks, verdict))
        after.append(remembered)
    return judged, after


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a feature's window comes to; see the fields of Judgement."""

    state: State
    severity: Severity
    why: str | None
    alarm_since: float | None


def _measured(profile: Profile, tally: Tally, references: Sequence[Counts | None], minimum_events: int) -> list[_Measured]:
    """Every feature against its reference's counts (bins,), where it has one; q over all that have a p."""
    found = [
        _measure(feature, tally.bins[i, : feature.bins], reference, tally.n >= minimum_events)
        for i, (feature, reference) in enumerate(zip(profile.features, references, strict=True))
    ]
    return [replace(one, q=q) for one, q in zip(found, q_values([one.p for one in found]), strict=True)]


def _measure(feature: FeatureProfile, window: Counts, reference: Counts | None, enough: bool) -> _Measured:
    if reference is None:
        return _Measured()
    used = _compared(feature, window, reference)
    pair = Histograms(window[used], reference[used])
    if not pair.n or not pair.m:
        return _Measured()
    value = psi(pair)
    p = feature.null.p(value, pair.n, pair.m) if feature.null is not None and enough else None
    return _Measured(value, value - expected_psi(pair.bins, pair.n, pair.m), p)


def _compared(feature: FeatureProfile, window: Counts, reference: Counts) -> npt.NDArray[np.bool_]:
    """Which bins are compared: of predictions not the missing, as an event without one failed, which is told of elsewhere.

    Where the reference has none at all, as a regression has no decisions, missing is all there is to compare.
    """
    used = occupied(window, reference)
    if feature.name in PREDICTIONS and reference[:-1].any():
        used[-1] = False
    return used


def _verdict(
    feature: FeatureProfile,
    n: int,
    minimum_events: int,
    measured: _Measured,
    memory: FeatureMemory,
    end: float,
    weeks: float,
) -> _Verdict:
    if measured.q is None:
        return _Verdict("unknown", "none", _unknown(feature, n, minimum_events), memory.alarm_since)
    severity = memory.severity(end, weeks)
    return _Verdict(memory.state, severity, _why(measured, memory, severity, weeks), memory.alarm_since)


def _unknown(feature: FeatureProfile, n: int, minimum_events: int) -> str:
    if n < minimum_events:
        return f"{n} events; {minimum_events} are needed"
    if feature.null is not None:
        return "no event has a prediction"
    needed = CHUNKS_MIN * CHUNK_EVENTS_MIN
    return f"the reference has {feature.m} rows of it, and {needed} are needed to know what chance does; train on more"


def _why(measured: _Measured, memory: FeatureMemory, severity: Severity, weeks: float) -> str | None:
    """What made the state, for people; None where nothing did."""
    if memory.state == "ok":
        return None
    now = f"q {measured.q:.2g}, PSI {measured.excess:.3f} beyond chance"
    if memory.state == "warn":
        return f"{now}: this window alone"
    text = f"{now}; suspicious in {sum(memory.flags)} of the last {len(memory.flags)} windows"
    if severity == "info":
        return f"{text}; usual at this hour of the week"
    if alarms(memory.seasonal_flags):
        return f"{text}; unusual at this hour of the week too"
    return f"{text}; {weeks:.0f} weeks of history" if weeks < 2 else f"{text}; for more than a week"


def _judgement(
    feature: FeatureProfile,
    tally: Tally,
    place: int,
    trained: _Measured,
    seasonal: _Measured,
    weeks: float,
    verdict: _Verdict,
) -> Judgement:
    window, reference = tally.bins[place, : feature.bins], np.array(feature.counts)
    used = _compared(feature, window, reference)
    number, coded, n = feature.kind == "number", feature.seen is not None, tally.n
    return Judgement(
        feature=feature.name,
        type=feature.kind,
        n=n,
        m=feature.m,
        effective_n=None if feature.null is None else feature.null.effective(n),
        psi=trained.psi,
        psi_excess=trained.excess,
        js_distance=None if trained.psi is None else js_distance(Histograms(window[used], reference[used])),
        wasserstein=_wasserstein(feature, window, reference),
        p=trained.p,
        q=trained.q,
        minimum_detectable_shift=feature.shift_at(n),
        missing_ratio=_share(window[-1], n) or 0.0,
        unseen_ratio=_share(tally.unseen[place], n) if coded else None,
        below_ratio=_share(tally.below[place], n) if number else None,
        above_ratio=_share(tally.above[place], n) if number else None,
        state=verdict.state,
        severity=verdict.severity,
        why=verdict.why,
        alarm_since=verdict.alarm_since,
        seasonal_psi=seasonal.psi,
        seasonal_p=seasonal.p,
        history_weeks=weeks,
        bins=[label for label, kept in zip(feature.labels, used, strict=True) if kept],
        counts=window[used].tolist(),
        reference_counts=reference[used].tolist(),
    )


def _share(count: np.int64, n: int) -> float | None:
    return int(count) / n if n else None


def _wasserstein(feature: FeatureProfile, window: Counts, reference: Counts) -> float | None:
    """In sd of the reference, over known values; None for categories, for what does not vary, and where a side has no value."""
    if feature.kind == "category" or not feature.sd or not feature.middles:
        return None
    pair = Histograms(window[:-1], reference[:-1])
    if not pair.n or not pair.m:
        return None
    found = wasserstein(pair, np.array(feature.middles)) / feature.sd
    return found if np.isfinite(found) else None
