"""What the scored event says by itself: the model to beat, scored here, beside the stream."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featurestore import offline
from featurestore.events import EventBatch, Source, contract
from featurestore.plan import compile_plan
from scorer.artifact import load_artifact
from scorer.pipeline import Pipeline
from streams.demo.state import DemoState


class Baseline:
    """Scores events from their static fields by a version in the demo's folder, verified as any other."""

    def __init__(self, pipeline: Pipeline, state: DemoState) -> None:
        self._event = pipeline.score
        self._plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
        self._version = load_artifact(state.baseline, self._plan.schema)

    def score(self, events: Sequence[Any]) -> list[float]:
        """A score each, in the order given."""
        if not events:
            return []
        numbers = np.arange(len(events))
        batch = EventBatch(
            event=self._event,
            source=Source(contract(self._event).topic, 0),
            offsets=numbers,
            ingested=numbers.astype(np.float64),
            times=numbers.astype(np.float64),  # static fields do not look at the time: their order is kept
            keys=[None] * len(events),
            events=list(events),
        )
        scores: list[float] = self._version.score(offline.compute(self._plan, [batch]).served.vectors).tolist()
        return scores
