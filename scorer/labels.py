"""Joins what was scored with what turned out to be true, by the scored event's id."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestore.definitions import seconds
from featurestore.events import EventBatch, contract
from featurestore.offline import History
from featurestore.plan import FeaturePlan
from featurestore.schema import FeatureKind
from scorer.models import Labels, Matrix
from scorer.pipeline import Label, Pipeline
from scorer.split import Times


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Rows with a label, in order of event time: matrix (n, features), labels (n,), times (n,) in seconds since the epoch.

    ``events`` are the scored events; ``texts`` the texts that each category column holds.
    """

    matrix: Matrix
    labels: Labels
    times: Times
    events: list[Any]
    texts: dict[str, set[str]]


def label_values(label: Label, batches: Iterable[EventBatch]) -> dict[Any, float]:
    """The label of each id, float; an id's first label within the history wins, and None (nothing to say) is left out."""
    found: dict[Any, float] = {}
    for batch in batches:
        if batch.event is not label.event:
            continue
        for id, event in zip(batch.column(label.id), batch.events, strict=True):
            value = label.value(event)
            if value is not None:
                found.setdefault(id, float(value))
    return found


def join(pipeline: Pipeline, plan: FeaturePlan, history: History, batches: Iterable[EventBatch]) -> Labelled:
    """The rows of a history that have a label, within the label's maturity of the scored event."""
    label, maturity = pipeline.label, seconds(pipeline.label.maturity)
    batches = list(batches)
    values = label_values(label, batches)
    when = {
        id: time
        for batch in reversed(batches)
        if batch.event is label.event
        for id, time in zip(reversed(batch.column(label.id)), reversed(batch.times.tolist()), strict=True)
    }
    id_field = contract(pipeline.score).id
    ids = [getattr(event, id_field) for event in history.events]
    rows = [row for row, id in enumerate(ids) if id in values and when[id] <= history.times[row] + maturity]
    return Labelled(
        matrix=history.served.vectors[rows],
        labels=np.array([values[ids[row]] for row in rows], dtype=np.float64),
        times=history.times[rows],
        events=[history.events[row] for row in rows],
        texts=_texts(plan, [history.events[row] for row in rows]),
    )


def _texts(plan: FeaturePlan, events: list[Any]) -> dict[str, set[str]]:
    """Category columns are named as their fields."""
    names = [column.name for column in plan.schema.columns if column.kind is FeatureKind.CATEGORY]
    return {name: {text for event in events if (text := getattr(event, name)) is not None} for name in names}
