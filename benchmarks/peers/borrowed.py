"""What every peer borrows from Tidegate: settings, the deployed model, what a prediction says. The framework is its own.

Records are plain dicts of JSON's types, because that is what frameworks serialize.
"""

import os
import time
from typing import Any, Self

import numpy as np

from benchmarks.peers.one_event import OneEvent, Position
from examples.payments.pipeline import pipeline
from featurestore import warmup
from featurestore.compute import Served
from featurestore.events import contract
from featurestore.plan import FeaturePlan, compile_plan
from streams.deployments import running
from streams.model_source import load_deployed
from streams.outputs import TopicNames
from streams.serving import ServingModel
from streams.settings import Settings

GROUP = f"tidegate.{pipeline.name}"  # the worker's consumer group, which a benchmark forgets between contenders
SOURCE = contract(pipeline.score).topic
TOPICS = TopicNames.of(pipeline.name)
FLAGS = ("missing", "late", "stale")


class Borrowed:
    """The plan and the model of a process, loaded once."""

    def __init__(self, settings: Settings, plan: FeaturePlan, model: ServingModel) -> None:
        self.settings, self.plan, self.model, self.store = settings, plan, model, OneEvent(plan)

    @classmethod
    def from_environment(cls) -> Self:
        """Loads and verifies the champion, and warms the kernel up."""
        settings = Settings.from_environment(os.environ)
        plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
        champion = running(settings.kafka, pipeline.name).champion
        assert champion is not None
        warmup.warm(plan)
        return cls(settings, plan, load_deployed(settings, champion, plan.schema))

    def predictions(self, rows: list[tuple[Any, str | None, Position]], served: Served) -> list[dict[str, Any]]:
        """A prediction for each (event, key, position), whose served vectors lie in the same order."""
        scores = self.model.loaded.score(served.vectors).tolist()
        now = time.time()
        raised = np.array([getattr(served, flag) for flag in FLAGS]).T.tolist()
        return [
            self._prediction(*row, score, [name for name, on in zip(FLAGS, flags, strict=True) if on], now)
            for row, score, flags in zip(rows, scores, raised, strict=True)
        ]

    def _prediction(
        self, event: Any, key: str | None, at: Position, score: float, flags: list[str], now: float
    ) -> dict[str, Any]:
        model, threshold = self.model, self.model.threshold
        return {
            "prediction_id": f"{at.topic}-{at.partition}-{at.offset}",
            "event_id": event.payment_id,
            "key": key,
            "pipeline": pipeline.name,
            "schema": self.plan.schema.fingerprint,
            "event_time": event.at,
            "ingest_time": at.ingested,
            "scored_time": now,
            "model": model.name,
            "model_version": model.version,
            "model_hash": model.loaded.hash,
            "variant": model.variant,
            "build": None,
            "score": score,
            "decision": score >= (0.5 if threshold is None else threshold),
            "threshold": threshold,
            "confidence": max(score, 1 - score),
            "flags": flags,
            "trace_id": None,
        }

    def vector(self, prediction_id: str, served: Served) -> dict[str, Any]:
        """One served vector as JSON. What is missing is NaN, which JSON has not: null."""
        values = [None if value != value else value for value in served.vectors[0].tolist()]
        return {"prediction_id": prediction_id, "vector": values}
