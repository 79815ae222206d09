"""The drill's model: versions trained on the market's own events, in the workers' cache, and deployed without a registry."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accept.alerts_market import Market
from benchmarks.accept.alerts_pipeline import pipeline
from featurestore.events import EventBatch, Source, contract
from featurestore.plan import compile_plan
from scorer.artifact import artifact_hash, write_artifact
from scorer.cache import install
from scorer.training import TrainedModel
from streams.deployments import deploy_champion
from streams.settings import Settings
from streams.training import train_on_events

ORDERS, SPACING_SECONDS = 24_000, 0.01  # eighty of the monitor's windows, for the null of drift
QUOTES_EVERY = 5  # orders
PRIMING_SECONDS = 20.0  # until every shop has quoted and every user ordered


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of the model by their number, as hashes; their files lie in `settings.cache`."""

    hashes: dict[int, str]
    settings: Settings

    @classmethod
    def train(cls, settings: Settings, folder: Path) -> "Versions":
        """Version 1 of the market's history, and version 2, which is the same model trained a moment later."""
        trained = _train()
        return cls({version: _installed(trained, version, settings.cache, folder) for version in (1, 2)}, settings)

    def deploy(self, version: int) -> None:
        """Makes it the champion: workers load it when they start."""
        deploy_champion(
            self.settings.kafka,
            pipeline=pipeline.name,
            model=pipeline.model,
            version=version,
            artifact_hash=self.hashes[version],
            registry="none",
            who="drill",
            why="to drill alerts",
        )


def _train() -> TrainedModel:
    market = Market(seed=1)
    begin = time.time() - 86_400
    times = (begin + SPACING_SECONDS * np.arange(ORDERS)).tolist()
    quotes = market.quotes([at - SPACING_SECONDS / 2 for at in times[::QUOTES_EVERY]])
    orders = market.orders(times)
    batches = [_batch(events) for events in (orders, quotes, market.outcomes(orders, quotes))]
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    return train_on_events(pipeline, plan, batches, "a drill's market", seed=1, rows_from=begin + PRIMING_SECONDS)


def _batch(events: Sequence[Any]) -> EventBatch:
    agreed = contract(type(events[0]))
    times = np.array([getattr(event, agreed.time) for event in events])
    keys = [getattr(event, agreed.key) for event in events]
    return EventBatch(type(events[0]), Source(agreed.topic, 0), np.arange(len(events)), times, times, keys, list(events))


def _installed(trained: TrainedModel, version: int, cache: Path, folder: Path) -> str:
    place = folder / f"version-{version}"
    created = time.time() + version
    facts = trained.facts(pipeline=pipeline.name, model_name=pipeline.model, owner=pipeline.owner, created=created)
    write_artifact(place, trained.model, trained.golden, facts, trained.extra)
    digest = artifact_hash(place)
    install(cache, pipeline.model, version, place)
    return digest
