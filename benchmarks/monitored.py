"""A stack on which a monitor says what it makes of the gauges' served vectors."""

from pathlib import Path

import numpy as np

from benchmarks.gauge_feed import PLAN, START, gauges
from benchmarks.gauges import pipeline
from monitors.drift.profile import Profile
from scorer.training import train
from streams.monitor.app import topic_specs
from streams.settings import Settings
from streams.topics import ensure_topics
from streams.training import promote, register

TRAINING_ROWS, TRAINING_SPACING_SECONDS = 60_000, 30.0


def deploy(settings: Settings, partitions: int) -> Profile:
    """Topics, and a model that is the champion; returns its reference."""
    ensure_topics(settings.kafka, topic_specs(pipeline.name, partitions))
    random = np.random.default_rng(1)
    matrix = gauges(random, TRAINING_ROWS)
    labels = (matrix[:, 0] + random.normal(0, 1, len(matrix)) > 0).astype(np.float64)
    times = START - TRAINING_SPACING_SECONDS * np.arange(len(matrix), 0, -1, dtype=np.float64)
    trained = train(
        matrix,
        labels,
        times,
        PLAN.schema,
        task="binary",
        seed=1,
        gap_seconds=3600.0,
        rounds_max=10,
        monitoring=pipeline.monitoring,
    )
    promote(pipeline, register(pipeline, trained, settings, Path(__file__).parent), settings, "benchmark", "to measure")
    assert trained.profile is not None
    return trained.profile
