"""The training matrix: the kernel's vectors of every departure with a label, in order of time."""

from collections.abc import Sequence

from examples.flights import dataset
from examples.flights.pipeline import pipeline
from featurestore.definitions import Feature, seconds
from featurestore.events import EventBatch
from featurestore.offline import compute
from featurestore.plan import compile_plan
from scorer.labels import Labelled, join

MATURITY_SECONDS = seconds(pipeline.label.maturity)


def labelled(features: Sequence[Feature] = pipeline.features, batches: Sequence[EventBatch] | None = None) -> Labelled:
    """The whole year, or the given batches, through the kernel, joined with the labels known by the end of maturity."""
    batches = dataset.batches() if batches is None else batches
    plan = compile_plan(pipeline.name, pipeline.score, features, pipeline.shards)
    history = compute(plan, [batch for batch in batches if batch.event in plan.history_events])
    return join(pipeline, plan, history, batches)
