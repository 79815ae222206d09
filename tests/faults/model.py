"""A tiny model, trained once for all runs of a process; worlds only name it as their champion."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featurestore.plan import FeaturePlan, compile_plan
from scorer.training import train
from streams.deployments import deploy_champion
from streams.settings import Settings
from tests.champions import cached
from tests.faults.pipeline import pipeline

ROOT = Path(__file__).resolve().parents[2]
ROWS, ROUNDS = 4_000, 10


@dataclass(frozen=True, slots=True)
class Champion:
    """A version's hash, and the cache that it lies in; there is no registry."""

    digest: str
    cache: Path
    registry_uri: str = "sqlite:////nonexistent/registry.db"

    def deploy(self, settings: Settings) -> None:
        """Makes it the champion of a stack; no registry is asked, workers find it in the cache."""
        deploy_champion(
            settings.kafka,
            pipeline=pipeline.name,
            model=pipeline.name,
            version=1,
            artifact_hash=self.digest,
            registry=self.registry_uri,
            who="tests.faults",
            why="a run with faults",
        )


def plan_of(shards: int | None = None) -> FeaturePlan:
    return compile_plan(pipeline.name, pipeline.score, pipeline.features, shards or pipeline.shards)


def train_champion(folder: Path) -> Champion:
    """Trains on random vectors: what it predicts means nothing, that it predicts does."""
    plan, random = plan_of(), np.random.default_rng(1)
    matrix = random.exponential(50, (ROWS, len(plan.schema)))
    labels = (matrix[:, 0] + random.normal(0, 20, ROWS) > 60).astype(np.float64)
    times = np.arange(ROWS, dtype=np.float64)
    trained = train(
        matrix, labels, times, plan.schema, task="binary", seed=1, gap_seconds=1.0, params={"num_threads": 1}, rounds_max=ROUNDS
    )  # fmt: skip
    cache = folder / "cache"
    return Champion(cached(trained, pipeline.name, folder, cache), cache)
