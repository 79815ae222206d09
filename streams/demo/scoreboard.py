"""AUC so far: predictions met with the labels that were sent, and the baseline's scores on the same events."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from sklearn.metrics import roc_auc_score

from featurestore.definitions import seconds
from featurestore.events import contract
from scorer.pipeline import Pipeline
from streams.demo.source import Sendable


@dataclass(frozen=True, slots=True)
class Quality:
    """AUC of the served scores and of the baseline on the same labelled events; None while labels are of one class."""

    labelled: int = 0
    auc: float | None = None
    baseline_auc: float | None = None


class Scoreboard:
    """Told by two threads (what was sent, what was predicted), asked by a third.

    An event counts once it was predicted and its label was sent within its maturity, as in training.
    """

    def __init__(self, pipeline: Pipeline, baseline: Callable[[Sequence[Any]], list[float]]) -> None:
        self._label, self._scored = pipeline.label, contract(pipeline.score)
        self._label_time = contract(pipeline.label.event).time
        self._maturity = seconds(pipeline.label.maturity)
        self._baseline = baseline
        self._lock = threading.Lock()
        self._events: dict[str, Any] = {}
        self._scores: dict[str, float] = {}
        self._labels: dict[str, float] = {}
        self._rows: list[tuple[float, float, float]] = []  # label, score, baseline's score

    def sent(self, event: Any) -> None:
        """A scored event that went to its topic."""
        with self._lock:
            self._events[getattr(event, self._scored.id)] = event

    def labelled(self, event: Any) -> None:
        """An event that carries a label; of events not sent before, such as those of the warm-up, it is no news."""
        id, value = getattr(event, self._label.id), self._label.value(event)
        with self._lock:
            about = self._events.get(id)
            if about is None or value is None:
                return
            if getattr(event, self._label_time) <= getattr(about, self._scored.time) + self._maturity:
                self._labels.setdefault(id, float(value))

    def predicted(self, event_id: str, score: float) -> None:
        with self._lock:
            self._scores.setdefault(event_id, score)

    def quality(self) -> Quality:
        """Over all rows that are complete by now."""
        with self._lock:
            ready = [id for id in self._labels if id in self._scores]
            events = [self._events.pop(id) for id in ready]
            pairs = [(self._labels.pop(id), self._scores.pop(id)) for id in ready]
        self._rows += [(*pair, other) for pair, other in zip(pairs, self._baseline(events), strict=True)]
        if not self._rows:
            return Quality()
        labels, scores, others = np.array(self._rows).T
        if not 0 < labels.sum() < len(labels):
            return Quality(len(labels))
        return Quality(len(labels), float(roc_auc_score(labels, scores)), float(roc_auc_score(labels, others)))


def hearing(pipeline: Pipeline, scoreboard: Scoreboard) -> Callable[[Sendable], None]:
    """Tells the scoreboard of each scored and each labelling event that keeps its contract."""
    told: dict[str, list[tuple[msgspec.json.Decoder[Any], Callable[[Any], None]]]] = {}
    for event, tell in ((pipeline.score, scoreboard.sent), (pipeline.label.event, scoreboard.labelled)):
        told.setdefault(contract(event).topic, []).append((msgspec.json.Decoder(event), tell))

    def hear(record: Sendable) -> None:
        for decoder, tell in () if record.broken else told.get(record.topic, ()):
            try:
                tell(decoder.decode(record.value))
            except msgspec.DecodeError:
                return  # the worker rejects it as well

    return hear
