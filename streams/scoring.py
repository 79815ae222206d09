"""Scores a chunk's vectors. Where the model fails, bisection finds the events at fault, so that the others are predicted.

A chunk without faults costs one call of the model, as if nothing could fail. What becomes of the events left over is flow.py's.
"""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from time import monotonic

import numpy as np

from featurestore.compute import Served
from featurestore.events import Floats, Ints
from scorer.errors import ScoringError
from streams.serving import ServingModel, Verdicts, decide
from streams.vectors import Scored

log = logging.getLogger(__name__)

LOG_SECONDS = 60.0  # a model that fails for everything would otherwise write a line a chunk
FAILING_EVENTS = 20  # in a row, before the model counts as failing: a broken event or two on a quiet topic do not
REFUSED = 'a feature is not fresh enough, and the pipeline declares otherwise="refuse" for it'


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of n vectors: places int64 (m,) of those with a verdict, and of each other
    place the dead letter's reason, field and detail."""

    places: Ints
    verdicts: Verdicts
    unscored: Mapping[int, tuple[str, None, str]]

    def said(self, model_version: int, n: int) -> Scored:
        """The verdicts beside all n vectors, NaN where there is none."""

        def column(values: Sequence[object]) -> Floats:
            found = np.full(n, np.nan)
            found[self.places] = np.array(values, dtype=np.float64)  # None becomes NaN
            return found

        verdicts = self.verdicts
        return Scored(model_version, column(verdicts.scores), column(verdicts.decisions), column(verdicts.confidences))


class Judge:
    """Judges served vectors; ``tell`` hears when the model fails for everything, and None when it no longer does."""

    def __init__(self, tell: Callable[[str | None], None] = lambda why: None, clock: Callable[[], float] = monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._in_a_row = self._unlogged = 0
        self._logged = -np.inf

    def __call__(self, model: ServingModel, served: Served) -> Judged:
        """Scores what is not refused. Whatever the model raises becomes the detail of its events, never the worker's end."""
        places = np.flatnonzero(~served.refused)
        vectors = served.vectors if len(places) == len(served.refused) else served.vectors[places]
        failed: dict[int, str] = {}
        parts = list(_judged(model, vectors, 0, failed)) if len(places) else []
        self._watch(model, len(places) - len(failed), failed)
        unscored: dict[int, tuple[str, None, str]] = {
            int(place): ("refused", None, REFUSED) for place in np.flatnonzero(served.refused)
        }
        if failed:
            named = f"{model.name} version {model.version}"
            unscored |= {int(places[row]): ("scoring", None, f"{named} {why}") for row, why in failed.items()}
            places = np.delete(places, list(failed))
        return Judged(places, _joined(parts), unscored)

    def _watch(self, model: ServingModel, scored: int, failed: Mapping[int, str]) -> None:
        if not failed:
            if scored and self._in_a_row:
                self._in_a_row = 0
                self._tell(None)
            return
        self._in_a_row = 0 if scored else self._in_a_row + len(failed)
        self._unlogged += len(failed)
        why = f"{model.name} version {model.version} {next(iter(failed.values()))}"
        if self._in_a_row >= FAILING_EVENTS:
            self._tell(f"{why} for each of the last {self._in_a_row} events; run: tidegate train --promote")
        elif scored:
            self._tell(None)
        if self._clock() - self._logged >= LOG_SECONDS:
            log.warning(
                "%s; events not scored, since the last such line: %d. They are dead letters with the reason scoring. "
                "To promote another version: tidegate train --promote", why, self._unlogged,
            )  # fmt: skip
            self._logged, self._unlogged = self._clock(), 0


def _judged(model: ServingModel, vectors: Floats, first: int, failed: dict[int, str]) -> Iterator[Verdicts]:
    """The verdicts of rows `first` and following, in order and in parts; rows without one are put into `failed`, with why.

    A model that fails for k of n rows is called about 2 k log2(n / k) times more.
    """
    try:
        scores = _scores(model, vectors)
    except Exception as error:  # a model is anybody's code
        if len(vectors) == 1:
            # The class alone: messages quote values.
            failed[first] = str(error) if isinstance(error, _ShapeError) else f"raised {type(error).__name__}"
            return
        half = len(vectors) // 2
        yield from _judged(model, vectors[:half], first, failed)
        yield from _judged(model, vectors[half:], first + half, failed)
        return
    finite = np.isfinite(scores)
    if not finite.all():
        rows = finite if finite.ndim == 1 else finite.all(axis=1)
        failed.update((first + int(row), "gave a score that is not a number") for row in np.flatnonzero(~rows))
        scores = scores[rows]
    if len(scores):
        yield decide(model.task, scores, model.threshold)


class _ShapeError(ScoringError):
    """Not one score a row; its message quotes no value."""


def _scores(model: ServingModel, vectors: Floats) -> Floats:
    scores = np.asarray(model.loaded.score(vectors), dtype=np.float64)
    if scores.ndim != (2 if model.task == "multiclass" else 1) or len(scores) != len(vectors):
        raise _ShapeError("gave scores of a wrong shape")
    return scores


def _joined(parts: list[Verdicts]) -> Verdicts:
    if len(parts) == 1:
        return parts[0]
    return Verdicts(*(list(itertools.chain.from_iterable(getattr(part, f.name) for part in parts)) for f in fields(Verdicts)))
