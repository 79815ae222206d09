"""What the schedule alone says of departures: the model to beat, scored here, beside the stream."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featurestore import offline
from featurestore.events import EventBatch, Source, contract
from featurestore.plan import compile_plan
from scorer.artifact import load_artifact
from streams.demo import flights
from streams.demo.state import DemoState


class Baseline:
    """Scores departures from their static fields by a version in the demo's folder, verified as any other."""

    def __init__(self, state: DemoState) -> None:
        pipeline = flights.baseline_pipeline()
        self._event = pipeline.score
        self._plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
        self._version = load_artifact(state.baseline, self._plan.schema)

    def score(self, departures: Sequence[Any]) -> list[float]:
        """A score each, in the order given."""
        if not departures:
            return []
        numbers = np.arange(len(departures))
        batch = EventBatch(
            event=self._event,
            source=Source(contract(self._event).topic, 0),
            offsets=numbers,
            ingested=numbers.astype(np.float64),
            times=numbers.astype(np.float64),  # static fields do not look at the time: their order is kept
            keys=[None] * len(departures),
            events=list(departures),
        )
        scores: list[float] = self._version.score(offline.compute(self._plan, [batch]).served.vectors).tolist()
        return scores
