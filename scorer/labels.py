"""Joins what was scored with what turned out to be true, by the scored event's id."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestore.definitions import seconds
from featurestore.errors import DefinitionError
from featurestore.events import EventBatch, contract
from featurestore.offline import History
from featurestore.plan import FeaturePlan
from featurestore.schema import FeatureKind, FeatureSchema
from scorer.models import Labels, Matrix
from scorer.pipeline import Label, Pipeline
from scorer.split import Times


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Rows with a label, in order of event time: matrix (n, features), labels (n,), times (n,) in seconds since the epoch.

    ``texts`` are the texts that each category column holds.
    """

    matrix: Matrix
    labels: Labels
    times: Times
    schema: FeatureSchema
    texts: dict[str, set[str]]

    def between(self, start: float, end: float) -> "Labelled":
        """The rows with start <= event time < end."""
        rows = slice(*np.searchsorted(self.times, [start, end]))
        return Labelled(self.matrix[rows], self.labels[rows], self.times[rows], self.schema, self.texts)


def known_labels(label: Label, batches: Iterable[EventBatch]) -> dict[Any, tuple[float, float]]:
    """When (seconds since the epoch) and what the label of each id was; the first wins, and None (nothing to say) is left out."""
    found: dict[Any, tuple[float, float]] = {}
    for batch in batches:
        if batch.event is not label.event:
            continue
        for id, time, event in zip(batch.column(label.id), batch.times.tolist(), batch.events, strict=True):
            value = label.value(event)
            if value is not None and (id not in found or time < found[id][0]):
                found[id] = (time, float(value))
    return found


def check_join(pipeline: Pipeline) -> None:
    """DefinitionError where the scored event's id is hashed and the label's is not, or the other way round: none would match."""
    scored, label = contract(pipeline.score), contract(pipeline.label.event)
    if (scored.id in scored.personal) != (pipeline.label.id in label.personal):
        raise DefinitionError(
            f"label: {scored.id!r} of {pipeline.score.__name__} and {pipeline.label.id!r} of {pipeline.label.event.__name__} are "
            f"the same id, and only one is personal: name it in personal= of both events, or of neither"
        )


def join(pipeline: Pipeline, plan: FeaturePlan, history: History, batches: Iterable[EventBatch]) -> Labelled:
    """The rows of a history whose label came within its maturity; not those that would have been refused instead of scored."""
    check_join(pipeline)
    maturity, never = seconds(pipeline.label.maturity), (np.inf, 0.0)
    known = known_labels(pipeline.label, batches)
    ids = [getattr(event, contract(pipeline.score).id) for event in history.events]
    came = np.array([known.get(id, never) for id in ids]).reshape(-1, 2)
    rows = np.flatnonzero((came[:, 0] <= history.times + maturity) & ~history.served.refused)
    events = [history.events[row] for row in rows.tolist()]
    return Labelled(
        matrix=history.served.vectors[rows],
        labels=came[rows, 1],
        times=history.times[rows],
        schema=plan.schema,
        texts=_texts(plan, events),
    )


def _texts(plan: FeaturePlan, events: list[Any]) -> dict[str, set[str]]:
    """Category columns are named as their fields."""
    names = [column.name for column in plan.schema.columns if column.kind is FeatureKind.CATEGORY]
    return {name: {text for event in events if (text := getattr(event, name)) is not None} for name in names}
