"""A trained model in a workers' cache, as if fetched: MLflow, which takes seconds to begin, is not asked."""

from pathlib import Path

from scorer.artifact import artifact_hash, write_artifact
from scorer.cache import install
from scorer.training import TrainedModel


def cached(trained: TrainedModel, name: str, folder: Path, cache: Path) -> str:
    """Puts it into the cache as version 1 of pipeline and model `name`, by way of `folder`; the version's hash."""
    version = folder / "version"
    facts = trained.facts(pipeline=name, model_name=name, owner="tests", created=0.0)
    write_artifact(version, trained.model, trained.golden, facts, trained.extra)
    digest = artifact_hash(version)
    install(cache, name, 1, version)
    return digest
