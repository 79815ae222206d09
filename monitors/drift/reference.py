"""Makes the reference profile of a trained model from its rows. Same rows, same bytes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from monitors.drift import bins, window
from monitors.drift.detectable import detectable_category, detectable_number
from monitors.drift.null import CHUNK_EVENTS_MIN, PARTS, chunk_events, chunk_starts, fit_null
from monitors.drift.profile import CONFIDENCE, DECISION, SCORE, FeatureProfile, Profile
from monitors.drift.statistics import Counts, Floats

Kind = Literal["number", "category"]
Progress = Callable[[int, int], None]  # features done, features in all

_PREDICTED: tuple[tuple[str, Kind], ...] = ((SCORE, "number"), (DECISION, "category"), (CONFIDENCE, "number"))


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One feature's rows in order of event time: values (n,), NaN missing; ``texts`` are of a category's codes, where known."""

    name: str
    kind: Kind
    values: Floats
    texts: Mapping[float, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Windows:
    """What is declared of windows: events, or seconds of event time, or neither, and their number of events is chosen here."""

    events: int | None = None
    seconds: float | None = None


def build_profile(
    matrix: Floats,
    times: Floats,
    names: Sequence[str],
    kinds: Sequence[Kind],
    predictions: Floats,
    *,
    texts: Mapping[str, Mapping[float, str]] | None = None,
    windows: Windows = Windows(),
    metrics: Mapping[str, float | None] | None = None,
    progress: Progress | None = None,
) -> Profile:
    """The profile of ``matrix`` (n, F), NaN missing, at ``times`` (n,) in seconds and in order, n >= 1.

    ``predictions`` (v, 3): score, decision and confidence of the validation rows, in order. ``texts``: by category column, the
    text of each code that is known.
    """
    vector = _columns(matrix, zip(names, kinds, strict=True), texts or {})
    columns = [*vector, *_columns(predictions, _PREDICTED, texts or {})]
    chosen = _events(vector, times, windows)
    made = []
    for done, column in enumerate(columns, 1):
        made.append(profile_column(column, chosen, len(columns)))
        if progress is not None:
            progress(done, len(columns))
    return Profile(
        features=made,
        window_events=chosen if windows.seconds is None else None,
        window_seconds=windows.seconds,
        chunk_events=chunk_events(len(times), chosen),
        rows=len(times),
        first=float(times[0]),
        last=float(times[-1]),
        metrics={
            name: None if value is None or not np.isfinite(value) else float(value) for name, value in (metrics or {}).items()
        },
    )


def _columns(matrix: Floats, named: Iterable[tuple[str, Kind]], texts: Mapping[str, Mapping[float, str]]) -> list[Column]:
    return [Column(name, kind, np.ascontiguousarray(matrix[:, i]), texts.get(name, {})) for i, (name, kind) in enumerate(named)]


def profile_column(column: Column, wanted: int, features: int) -> FeatureProfile:
    """The profile of one of ``features`` columns, for windows of ``wanted`` events."""
    events = chunk_events(len(column.values), wanted)
    starts = chunk_starts(len(column.values), events) if events >= CHUNK_EVENTS_MIN else np.zeros(0, dtype=np.int64)
    chunks = column.values[starts[:, None] + np.arange(events)]
    return (_number if column.kind == "number" else _category)(column, chunks, features)


def _number(column: Column, chunks: Floats, features: int) -> FeatureProfile:
    ordered = np.sort(column.values)
    known = ordered[np.isfinite(ordered)]
    edges = bins.number_edges(known)
    counts = bins.chunk_counts(ordered[None, :], np.array(edges))[0]
    parts = bins.chunk_counts(np.sort(chunks.reshape(len(chunks) * PARTS, chunks.shape[1] // PARTS), axis=1), np.array(edges))
    null = fit_null(parts.reshape(len(chunks), PARTS, len(counts)), counts)
    mean, sd = _moments(known)
    detectable = (
        None if null is None or sd is None else detectable_number(np.sort(chunks, axis=1), edges, sd, counts, null, features)
    )
    return FeatureProfile(
        name=column.name,
        kind="number",
        edges=edges,
        middles=bins.middles(known, edges),
        labels=bins.number_labels(edges),
        counts=counts.tolist(),
        lowest=float(known[0]) if len(known) else None,
        highest=float(known[-1]) if len(known) else None,
        mean=mean,
        sd=sd,
        null=null,
        detectable=detectable,
    )


def _moments(known: Floats) -> tuple[float | None, float | None]:
    """Mean and standard deviation; None for no values, and where they leave the range of doubles."""
    if not len(known):
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = float(known.mean()), float(known.std())
    return (mean if np.isfinite(mean) else None), (sd if np.isfinite(sd) else None)


def _category(column: Column, chunks: Floats, features: int) -> FeatureProfile:
    codes, seen = bins.category_codes(column.values[np.isfinite(column.values)])
    width = len(codes) + 2
    found, _ = bins.Categories(codes, seen).find(column.values)
    counts = np.bincount(found, minlength=width)
    held, _ = bins.Categories(codes, seen).find(chunks.ravel())
    places = np.arange(len(held)) // (max(chunks.shape[1], PARTS) // PARTS) * width + held
    parts = np.bincount(places, minlength=len(chunks) * PARTS * width).reshape(len(chunks), PARTS, width)
    null = fit_null(parts, counts)
    return FeatureProfile(
        name=column.name,
        kind="category",
        codes=codes,
        seen=seen,
        unseen=_unseen(column.values),
        labels=bins.category_labels(codes, column.texts),
        counts=counts.tolist(),
        null=null,
        detectable=None if null is None else detectable_category(parts.sum(axis=1), counts, null, features),
    )


def _unseen(values: Floats) -> float:
    """The share of the newest fifth of the known codes that the older ones do not have: what is new by nature."""
    known = values[np.isfinite(values)]
    older, newest = np.split(known, [len(known) * 4 // 5])
    return float(np.mean(~np.isin(newest, older))) if len(newest) else 0.0


def _events(columns: Sequence[Column], times: Floats, windows: Windows) -> int:
    """Events of a window: as declared, as many as usually come in the declared time, or chosen by the columns."""
    if windows.events is not None:
        return windows.events
    if windows.seconds is not None:
        span = float(times[-1] - times[0])
        return max(int(len(times) * min(windows.seconds / span, 1.0)), 1) if span > 0 else len(times)
    return window.auto_events(window.effective_events(_granules(column)) for column in columns)


def _granules(column: Column) -> Counts:
    """Counts of each `GRANULE_EVENTS` consecutive rows in the column's bins."""
    whole = len(column.values) // window.GRANULE_EVENTS
    rows = column.values[: whole * window.GRANULE_EVENTS].reshape(whole, window.GRANULE_EVENTS)
    if column.kind == "number":
        edges = bins.number_edges(np.sort(column.values[np.isfinite(column.values)]))
        return bins.chunk_counts(np.sort(rows, axis=1), np.array(edges))
    codes, seen = bins.category_codes(column.values[np.isfinite(column.values)])
    return np.array([np.bincount(bins.Categories(codes, seen).find(row)[0], minlength=len(codes) + 2) for row in rows])
