"""Makes the demo's history and models: a process of its own, beside the start of Kafka.

    python -m streams.demo.prepare EXAMPLE FOLDER

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
from streams.demo.state import DemoState, Prepared
from streams.demo.stories import find_story
from streams.demo.story import Story
from streams.settings import Settings
from streams.training import Progress, register, train_pipeline

SEED = 1


class Step(msgspec.Struct):
    """A line of progress."""

    what: str
    done: int
    of: int


def prepare(story: Story, state: DemoState, progress: Progress) -> Prepared:
    """The folder's versions: those there if all is sound, else made from nothing."""
    with state.locked():
        if found := state.load():
            return found
        state.empty()
        prepared = _make(story, state, state.settings(), progress)
        state.save(prepared)
        return prepared


def _make(story: Story, state: DemoState, settings: Settings, progress: Progress) -> Prepared:
    pipeline, baseline, words = story.pipeline(), story.baseline(), story.words
    progress(f"writing {words.about}", 0, 1)
    span = story.write_history(state.history)
    progress(f"writing {words.about}", 1, 1)
    progress("compiling the kernel", 0, 1)
    warmup.warm(compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards))
    progress("compiling the kernel", 1, 1)
    trained = train_pipeline(pipeline, state.history, 0.0, span.end, SEED, progress, rows_from=span.settled)
    progress(f"training on the {words.baseline}", 0, 1)
    alone = train_pipeline(baseline, state.history, 0.0, span.end, SEED, rows_from=span.settled)
    _write_baseline(state.baseline, baseline, alone)
    progress(f"training on the {words.baseline}", 1, 1)
    progress("registering the model", 0, 1)
    registered = register(pipeline, trained, settings, story.pipeline_file.parent)
    registry = MLflowRegistry(settings.registry_uri)
    registry.set_alias(registered.model, CHAMPION, registered.version)
    registry.fetch(registered.model, registered.version, settings.cache)  # workers then need no registry, hence no MLflow
    progress("registering the model", 1, 1)
    return Prepared(registered.model, registered.version, registered.hash, artifact_hash(state.baseline))


def _write_baseline(folder: Path, pipeline: Pipeline, trained: TrainedModel) -> None:
    facts = trained.facts(pipeline=pipeline.name, model_name=pipeline.model, owner=pipeline.owner, created=time.time())
    write_artifact(folder, trained.model, trained.golden, facts, trained.extra)


def _print(what: str, done: int, of: int) -> None:
    print(msgspec.json.encode(Step(what, done, of)).decode(), flush=True)


if __name__ == "__main__":
    prepare(find_story(sys.argv[1]), DemoState(Path(sys.argv[2])), _print)
