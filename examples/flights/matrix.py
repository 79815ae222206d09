"""The training matrix: the kernel's vectors of every departure with a label, in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from examples.flights import dataset
from examples.flights.pipeline import pipeline
from featurestore.definitions import Feature, seconds
from featurestore.events import EventBatch, Floats, contract
from featurestore.offline import History, compute
from featurestore.plan import compile_plan
from featurestore.schema import FeatureSchema

MATURITY_SECONDS = seconds(pipeline.label.maturity)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Vectors float64 (n, features), labels float64 (n,) 0 or 1, and event times float64 (n,), in order."""

    matrix: Floats
    labels: Floats
    times: Floats
    schema: FeatureSchema

    def between(self, start: float, end: float) -> "Labelled":
        """The rows with start <= event time < end."""
        rows = slice(*np.searchsorted(self.times, [start, end]))
        return Labelled(self.matrix[rows], self.labels[rows], self.times[rows], self.schema)


def labelled(features: Sequence[Feature] = pipeline.features, batches: Sequence[EventBatch] | None = None) -> Labelled:
    """The whole year, or the given batches, through the kernel, joined with the labels known by the end of maturity."""
    batches = dataset.batches() if batches is None else batches
    plan = compile_plan(pipeline.name, pipeline.score, features, pipeline.shards)
    history = compute(plan, [batch for batch in batches if batch.event in plan.events])
    labels = _labels(history, batches)
    known = ~np.isnan(labels)
    return Labelled(history.served.vectors[known], labels[known], history.times[known], plan.schema)


def _labels(history: History, batches: Sequence[EventBatch]) -> Floats:
    """The label of each scored event, NaN where none came in time."""
    label = pipeline.label
    came = {
        getattr(event, label.id): (time, label.value(event))
        for batch in batches
        if batch.event is label.event
        for event, time in zip(batch.events, batch.times.tolist(), strict=True)
    }
    out = np.full(len(history.events), np.nan)
    id_field = contract(pipeline.score).id
    for row, (event, scored_at) in enumerate(zip(history.events, history.times.tolist(), strict=True)):
        time, value = came.get(getattr(event, id_field), (np.inf, None))
        if value is not None and time <= scored_at + MATURITY_SECONDS:
            out[row] = value
    return out
