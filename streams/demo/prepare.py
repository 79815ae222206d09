"""Makes the demo's history and models: a process of its own, beside the start of Kafka.

    python -m streams.demo.prepare FOLDER

Prints its progress as JSON lines. MLflow and the training stay out of the process that watches, and both workers find the
kernel compiled.
"""

import sys
import time
from pathlib import Path

import msgspec

from featurestore import warmup
from featurestore.plan import compile_plan
from scorer.artifact import artifact_hash, write_artifact
from scorer.deployments import CHAMPION
from scorer.pipeline import Pipeline
from scorer.registry import MLflowRegistry
from scorer.training import TrainedModel
from streams.demo import flights
from streams.demo.flights import SEED, TRAINING_MONTHS
from streams.demo.state import DemoState, Prepared
from streams.settings import Settings
from streams.training import Progress, register, train_pipeline


class Step(msgspec.Struct):
    """A line of progress."""

    what: str
    done: int
    of: int


def prepare(state: DemoState, progress: Progress) -> Prepared:
    """The folder's versions: those there if all is sound, else made from nothing."""
    with state.locked():
        if found := state.load():
            return found
        state.empty()
        prepared = _make(state, state.settings(), progress)
        state.save(prepared)
        return prepared


def _make(state: DemoState, settings: Settings, progress: Progress) -> Prepared:
    pipeline, baseline = flights.flights_pipeline(), flights.baseline_pipeline()
    boundary = _write_history(state.history, progress)
    progress("compiling the kernel", 0, 1)
    warmup.warm(compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards))
    progress("compiling the kernel", 1, 1)
    trained = train_pipeline(pipeline, state.history, 0.0, boundary, SEED, progress)
    progress("training on the schedule alone", 0, 1)
    alone = train_pipeline(baseline, state.history, 0.0, boundary, SEED)
    _write_baseline(state.baseline, baseline, alone)
    progress("training on the schedule alone", 1, 1)
    progress("registering the model", 0, 1)
    registered = register(pipeline, trained, settings, flights.PIPELINE_FILE.parent)
    registry = MLflowRegistry(settings.registry_uri)
    registry.set_alias(registered.model, CHAMPION, registered.version)
    registry.fetch(registered.model, registered.version, settings.cache)  # workers then need no registry, hence no MLflow
    progress("registering the model", 1, 1)
    return Prepared(registered.model, registered.version, registered.hash, artifact_hash(state.baseline))


def _write_history(folder: Path, progress: Progress) -> float:
    """The training months' files; returns the moment at which their knowledge ends."""
    from examples.flights import dataset

    progress("reading the flights of 2013", 0, 1)
    dataset.write_parquet(folder, *TRAINING_MONTHS)
    progress("reading the flights of 2013", 1, 1)
    return dataset.month_start(TRAINING_MONTHS[1] + 1)


def _write_baseline(folder: Path, pipeline: Pipeline, trained: TrainedModel) -> None:
    facts = trained.facts(pipeline=pipeline.name, model_name=pipeline.model, owner=pipeline.owner, created=time.time())
    write_artifact(folder, trained.model, trained.golden, facts, trained.extra)


def _print(what: str, done: int, of: int) -> None:
    print(msgspec.json.encode(Step(what, done, of)).decode(), flush=True)


if __name__ == "__main__":
    prepare(DemoState(Path(sys.argv[1])), _print)
