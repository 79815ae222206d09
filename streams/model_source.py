"""Which model a worker serves: what the deployments topic says, fetched by a child process, verified before it scores."""

import logging

from featurestore.schema import FeatureSchema
from monitors.metrics import WorkerMetrics
from scorer.artifact import load_artifact
from scorer.cache import fetch_in_child
from scorer.deployments import Deployment
from scorer.errors import (
    ArtifactError,
    GoldenMismatchError,
    HashMismatchError,
    RegistryError,
    SchemaMismatchError,
    ScorerError,
)
from streams.deployments import running
from streams.serving import ServingModel
from streams.settings import Settings

log = logging.getLogger(__name__)

ANSWERS = ".answers"  # in the cache, where no model can have this name

# First match wins: the metric's reason for each way a version is refused.
_REASONS: tuple[tuple[type[ScorerError], str], ...] = (
    (HashMismatchError, "hash"),
    (GoldenMismatchError, "golden"),
    (SchemaMismatchError, "schema"),
    (RegistryError, "registry"),
    (ArtifactError, "unreadable"),
    (ScorerError, "unreadable"),
)


def load_champion(settings: Settings, pipeline: str, schema: FeatureSchema, metrics: WorkerMetrics) -> ServingModel | None:
    """The champion that the deployments topic names; None where it names none. ScorerError where it cannot serve."""
    champion = running(settings.kafka, pipeline).champion
    if champion is None or champion.version is None:
        return None
    try:
        found = load_deployed(settings, champion, schema)
    except ScorerError as error:
        metrics.count(metrics.load_failures, 1, next(reason for kind, reason in _REASONS if isinstance(error, kind)))
        raise
    metrics.serving(found.name, found.version, found.loaded.manifest.facts.created)
    return found


def load_deployed(settings: Settings, deployment: Deployment, schema: FeatureSchema) -> ServingModel:
    """Fetches (unless cached) and verifies a deployed version: hashes, features, golden rows."""
    assert deployment.version is not None
    uri = deployment.registry or settings.registry_uri
    folder = fetch_in_child(deployment.model, deployment.version, settings.cache, uri=uri, artifact_hash=deployment.artifact_hash)
    loaded = load_artifact(
        folder,
        schema,
        expected_hash=deployment.artifact_hash,
        key=settings.checkpoint_key,
        answers=settings.cache / ANSWERS,
    )
    return ServingModel(deployment.version, loaded, deployment.role)
