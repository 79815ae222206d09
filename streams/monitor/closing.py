"""A complete window becomes records: every feature judged against its reference, and a summary with quality, decisions, feeds.

All of it follows from the window's counts, the memory of earlier windows and the season: judged again, it is the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from featurestore.definitions import seconds
from monitors import quality
from monitors.drift.episode import FeatureMemory
from monitors.drift.judge import Judgement, judge
from monitors.drift.profile import DECISION
from monitors.drift.season import HOUR, HOURS, Season
from monitors.feeds import feeds
from scorer.pipeline import Pipeline
from streams.monitor.features import facts
from streams.monitor.records import DriftRecord, FeatureDrift, Severity, State, WindowSummary, encode_drift
from streams.monitor.references import Reference, References
from streams.monitor.state import Entry, Pending
from streams.monitor.windows import Window

REFERENCES_KEPT = 4  # whose memories and seasons are kept: the champion's, a canary's, a shadow's, and one to roll back to
SEASON = "season"  # :<reference>:<hour>, the checkpoint's field
LOST = "the reference that it was counted by is gone; a registry was set up anew, or another one"


class Closing:
    """Judges the windows of one pipeline, in the order in which they are complete.

    ``memory`` is by reference, and changed in place; ``fields`` are the checkpoint's, of which the seasons are read.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        references: References,
        memory: dict[str, list[FeatureMemory]],
        fields: Mapping[bytes, bytes],
    ) -> None:
        self._pipeline, self._declared = pipeline.name, pipeline.monitoring
        self._model, self._references, self._memory = pipeline.model, references, memory
        self._seasons: dict[str, Season] = {}
        self._changed: dict[bytes, bytes] = {}
        for name, value in fields.items():
            kind, _, place = name.decode().partition(":")
            if kind == SEASON:
                reference, hour = place.split(":")
                self._seasons.setdefault(reference, Season()).decode(int(hour), value)

    def changed_fields(self) -> dict[bytes, bytes]:
        """The seasons' fields that are new since the last call; an empty value is one to be removed."""
        changed, self._changed = self._changed, {}
        return changed

    def judged(self, window: Window, pending: Pending) -> list[DriftRecord]:
        """What is said of a window: a record a feature, then its summary. The season and the memory then know of it."""
        counts = window.counts
        counts.quality.repeat(pending.repeats)
        for kind, n in pending.rejects.items():
            counts.quality.reject(kind, n)
        reference = counts.reference
        season = self._season_of(reference)
        judgements = self._judgements(window, season)
        features = [self._feature(window, reference, one) for one in judgements] if reference else []
        summary = self._summary(window, season, judgements, pending)
        if reference is not None and counts.tally is not None and counts.n:
            hour = season.add(counts.quality.last, counts.tally)
            self._changed[_field(reference.id, hour)] = season.encode(hour)
        self._forget()
        return [*features, summary]

    def _season_of(self, reference: Reference | None) -> Season:
        """What is known of other weeks; the last of all is the last used."""
        if reference is None:
            return Season()
        season = self._seasons.pop(reference.id, None) or Season()
        self._seasons[reference.id] = season
        return season

    def _judgements(self, window: Window, season: Season) -> list[Judgement]:
        counts = window.counts
        if counts.reference is None or counts.tally is None or not counts.n:
            return []
        start, end = counts.quality.first, counts.quality.last
        before, context = self._memory.get(counts.reference.id, []), season.context(end, end - start)
        least = self._declared.minimum_events
        judgements, after = judge(counts.reference.profile, counts.tally, start, end, before, context, least)
        self._memory[counts.reference.id] = after
        return judgements

    def _feature(self, window: Window, reference: Reference, one: Judgement) -> FeatureDrift:
        quality_tally = window.counts.quality
        return FeatureDrift(
            drift_id=f"{self._pipeline}/{one.feature}/{window.id}",
            pipeline=self._pipeline,
            window=window.id,
            model=reference.model,
            model_version=window.version,
            reference=reference.id,
            window_start=quality_tally.first,
            window_end=quality_tally.last,
            sampled=window.share,
            **fields_of(one),
        )

    def _summary(self, window: Window, season: Season, judgements: Sequence[Judgement], pending: Pending) -> WindowSummary:
        counts, tally = window.counts, window.counts.quality
        reference = counts.reference
        found = self._checks(window, season, judgements)
        rate = counts.positive / counts.decided if counts.decided else None
        band = self._declared.decision_band
        state, severity = overall(judgements)
        return WindowSummary(
            drift_id=f"{self._pipeline}//{window.id}",
            pipeline=self._pipeline,
            window=window.id,
            model=reference.model if reference else self._model,
            model_version=window.version,
            reference=reference.id if reference else None,
            window_start=tally.first,
            window_end=tally.last,
            n=counts.n,
            repeats=pending.repeats,
            late=pending.late,
            sampled=window.share,
            state=state,
            severity=severity,
            why=self._references.why.get(window.version, LOST) if reference is None else None,
            drifting=[one.feature for one in judgements if one.state == "drift"],
            warned=[one.feature for one in judgements if one.state == "warn"],
            decision_rate=rate,
            decision_rate_last_week=last_weeks_rate(season, reference, tally.last),
            decision_band=band,
            decision_in_band=None if rate is None or band is None else band[0] <= rate <= band[1],
            quality_score=quality.score(found),
            tail_lost=tally.late,
            checks=found,
            feeds=feeds(tally, counts.groups),
        )

    def _checks(self, window: Window, season: Season, judgements: Sequence[Judgement]) -> list[quality.Check]:
        counts, tally = window.counts, window.counts.quality
        last_week, span = season.last_week(tally.last), tally.last - tally.first
        volume = None
        if last_week is not None and window.share == 1.0:
            # An hour's place holds all windows of that hour, or the one that ended in it, if longer.
            volume = quality.Volume(
                events=counts.n, seconds=span, last_week_events=last_week.n, last_week_seconds=max(HOUR, span)
            )
        features = facts(counts.reference.profile, counts.tally, judgements) if counts.reference and counts.tally else []
        return quality.checks(features, tally, counts.groups, seconds(self._declared.lateness), volume, window.share)

    def _forget(self) -> None:
        """Drops what is known by references that are used no longer."""
        for reference in list(self._seasons)[:-REFERENCES_KEPT]:
            del self._seasons[reference]
            self._memory.pop(reference, None)
            self._changed.update((_field(reference, hour), b"") for hour in range(HOURS))


def _field(reference: str, hour: int) -> bytes:
    return f"{SEASON}:{reference}:{hour}".encode()


def overall(judgements: Sequence[Judgement]) -> tuple[State, Severity]:
    """The worst of the features' states and severities; `unknown` where nothing is known of any."""
    states, severities = {one.state for one in judgements}, {one.severity for one in judgements}
    order: tuple[State, ...] = ("drift", "warn", "ok")
    levels: tuple[Severity, ...] = ("ticket", "info")
    return next((s for s in order if s in states), "unknown"), next((s for s in levels if s in severities), "none")


def breaches(before: int | None, records: Iterable[DriftRecord], minimum_events: int) -> int | None:
    """How many windows in a row had a decision rate outside the declared band, these records' included; None: none was judged.

    Windows without a rate, and those with fewer than `minimum_events`, say nothing: they neither count nor end a row.
    """
    for record in records:
        if isinstance(record, WindowSummary) and record.decision_in_band is not None and record.n >= minimum_events:
            before = 0 if record.decision_in_band else (before or 0) + 1
    return before


def last_weeks_rate(season: Season, reference: Reference | None, time: float) -> float | None:
    """The share of positive decisions in the same hour a week ago; None where it is not known."""
    tally = season.last_week(time)
    if tally is None or reference is None:
        return None
    place = reference.profile.names.index(DECISION)
    feature = reference.profile.features[place]
    decided = int(tally.bins[place, : feature.bins - 1].sum())
    positive = int(tally.bins[place, feature.codes.index(1.0)]) if 1.0 in feature.codes else 0
    return positive / decided if decided else None


def fields_of(one: Any) -> dict[str, Any]:
    """A slotted dataclass' fields by name; asdict would copy every list."""
    return {name: getattr(one, name) for name in one.__slots__}


def entry(record: DriftRecord) -> Entry:
    """A record for the outbox, keyed by its feature."""
    return Entry(record.drift_id, record.feature if isinstance(record, FeatureDrift) else "", encode_drift(record))
