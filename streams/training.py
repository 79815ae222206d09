"""From recorded history to a registered version and a champion: the steps that `tidegate train` and the demo share."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featurestore import offline
from featurestore.admission import Erasures, picked
from featurestore.definitions import seconds
from featurestore.errors import HistoryError
from featurestore.events import EventBatch
from featurestore.parquet import read_history
from featurestore.personal import Pseudonyms
from featurestore.plan import FeaturePlan, compile_plan
from scorer.artifact import artifact_hash, write_artifact
from scorer.deployments import CHAMPION
from scorer.labels import Labelled, join
from scorer.pipeline import Pipeline
from scorer.registry import MLflowRegistry
from scorer.training import TrainedModel, git_state, train
from streams.deployments import deploy_champion
from streams.history import needed_events
from streams.settings import Settings

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


def quiet(what: str, done: int, of: int) -> None:
    """The progress callback that shows nothing."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry, and the hash that workers verify it by."""

    model: str
    version: int
    hash: str


def train_pipeline(
    pipeline: Pipeline,
    data: Path,
    first: float,
    last: float,
    seed: int,
    progress: Progress = quiet,
    erased: Erasures | None = None,
    pseudonyms: Pseudonyms | None = None,
    rows_from: float = 0.0,
) -> TrainedModel:
    """Trains on the Parquet files in `data`, first <= event time < last; events before `rows_from` only fill windows.

    Events that `erased` says are of forgotten entities are left out; `pseudonyms` hash personal fields. HashKeyError and
    the errors of train_on_events say why not.
    """
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    batches = read_history(
        data,
        needed_events(pipeline, plan),
        first,
        last,
        lambda topic, row, rows: progress(f"reading {topic}", row, rows),
        pseudonyms,
    )
    return train_on_events(pipeline, plan, batches, f"parquet:{data.name}", seed, progress, erased, rows_from)


def train_on_events(
    pipeline: Pipeline,
    plan: FeaturePlan,
    batches: Sequence[EventBatch],
    source: str,
    seed: int,
    progress: Progress = quiet,
    erased: Erasures | None = None,
    rows_from: float = 0.0,
) -> TrainedModel:
    """A model from a history; `source` says where it is from. HistoryError or TrainingRefusedError say why not."""
    rows = labelled_rows(pipeline, plan, batches, source, progress, erased).between(rows_from, math.inf)
    return train(
        rows.matrix,
        rows.labels,
        rows.times,
        plan.schema,
        task=pipeline.task,
        seed=seed,
        gap_seconds=seconds(pipeline.label.maturity),
        threshold=pipeline.threshold,
        texts=rows.texts,
        source=source,
        monitoring=pipeline.monitoring,
        progress=lambda done, of, _: progress(f"training on {len(rows.labels):,} events", done, of),
        profiling=lambda done, of: progress("profiling the reference", done, of),
    )


def labelled_rows(
    pipeline: Pipeline,
    plan: FeaturePlan,
    batches: Sequence[EventBatch],
    source: str,
    progress: Progress = quiet,
    erased: Erasures | None = None,
) -> Labelled:
    """Features by the kernel, labels joined by id. The same events in batches of any order and size give the same bytes."""
    if erased is not None:
        batches = [picked(batch, erased.kept(batch)) for batch in batches]
    if not any(batch.event is pipeline.score and len(batch) for batch in batches):
        raise HistoryError(f"{source} has no {pipeline.score.__name__} in the time asked for; check --from and --to (UTC)")
    progress("computing features", 0, 1)
    history = offline.compute(plan, [batch for batch in batches if batch.event in plan.history_events])
    labelled = join(pipeline, plan, history, batches)
    progress("computing features", 1, 1)
    return labelled


def register(pipeline: Pipeline, trained: TrainedModel, settings: Settings, code: Path) -> Registered:
    """Writes the version's folder and keeps it in the registry; `code` is a folder of the repository it was trained from."""
    facts = trained.facts(
        pipeline=pipeline.name,
        model_name=pipeline.model,
        owner=pipeline.owner,
        created=time.time(),
        threshold=pipeline.threshold,
        git=git_state(code),
    )
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder) / "version"
        write_artifact(version, trained.model, trained.golden, facts, trained.extra)
        return Registered(pipeline.model, MLflowRegistry(settings.registry_uri).register(version), artifact_hash(version))


def promote(pipeline: Pipeline, registered: Registered, settings: Settings, who: str, why: str) -> None:
    """Writes the deployment, which is the truth, then the registry's alias `champion`, which mirrors it."""
    deploy_champion(
        settings.kafka,
        pipeline=pipeline.name,
        model=registered.model,
        version=registered.version,
        artifact_hash=registered.hash,
        registry=settings.registry_uri,
        who=who,
        why=why,
    )
    MLflowRegistry(settings.registry_uri).set_alias(registered.model, CHAMPION, registered.version)
