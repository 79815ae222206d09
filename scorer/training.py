"""Trains a LightGBM model on a matrix: same rows, same seed, same bytes.

Where rows come from (features by the featurestore's kernel, labels joined by id) is left to the caller; writing a version to
scorer.artifact.
"""

import hashlib
import re
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from featurestore.schema import FeatureSchema
from monitors.drift.profile import PROFILE_FILE, Profile
from scorer.artifact import GOLDEN_ROWS, Dataset, Facts
from scorer.metrics import evaluate
from scorer.models import Labels, Matrix
from scorer.models.encoding import Encoder, Encoding, collisions, fit_encoding
from scorer.models.lightgbm import LightGBMModel, column_names
from scorer.monitoring import Monitoring
from scorer.pipeline import Task
from scorer.reference import predictions, reference_profile
from scorer.split import LABELS_MIN, Times, TimeSplit, check_data, check_parts, split_by_time

Param = str | int | float | bool | None
Params = Mapping[str, Param]
Progress = Callable[[int, int, float], None]  # round, rounds at most, validation loss
Profiling = Callable[[int, int], None]  # features profiled, features in all

ROUNDS_MAX = 500
EARLY_STOPPING_ROUNDS = 30
UNDECLARED = Monitoring()
# Sized for seconds rather than the last digit: 165,000 rows of 30 features train for 304 rounds in 9 s on two idle cores.
DEFAULT_PARAMS: dict[str, Param] = {
    "learning_rate": 0.05,
    "num_leaves": 63,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "num_threads": 0,  # all cores
}
# Without these LightGBM's sums depend on threads and on timing (its FAQ and the documentation of `deterministic`).
_FIXED_PARAMS: dict[str, Param] = {"deterministic": True, "force_row_wise": True, "verbosity": -1}
_OBJECTIVES: dict[Task, tuple[str, str]] = {
    "binary": ("binary", "binary_logloss"),
    "multiclass": ("multiclass", "multi_logloss"),
    "regression": ("regression", "l2"),
}


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model with everything a version's manifest says of its training.

    ``metrics`` are of the validation rows; ``golden`` 100 of them, drawn by the seed, shape (<= 100, features);
    ``profile`` is what the monitor holds the stream against.
    """

    model: LightGBMModel
    metrics: dict[str, float]
    split: TimeSplit
    rounds: int
    params: dict[str, Param]
    seed: int
    dataset: Dataset
    window: tuple[float, float]
    golden: Matrix
    warnings: list[str]
    profile: Profile

    @property
    def extra(self) -> dict[str, bytes]:
        """The files that ``scorer.artifact.write_artifact`` puts beside the model's."""
        return {PROFILE_FILE: self.profile.encode()}

    def facts(
        self,
        *,
        pipeline: str,
        model_name: str,
        owner: str,
        created: float,
        threshold: float = 0.5,
        git: tuple[str | None, bool | None] = (None, None),
    ) -> Facts:
        """What ``scorer.artifact.write_artifact`` puts into the manifest; ``created`` in seconds since the epoch."""
        return Facts(
            pipeline=pipeline,
            model_name=model_name,
            owner=owner,
            created=created,
            threshold=threshold,
            metrics={name: None if np.isnan(value) else value for name, value in self.metrics.items()},
            training_window=self.window,
            dataset=self.dataset,
            seed=self.seed,
            params=self.params,
            git_commit=git[0],
            git_dirty=git[1],
            warnings=self.warnings,
        )


def train(
    matrix: Matrix,
    labels: Labels,
    times: Times,
    schema: FeatureSchema,
    *,
    task: Task,
    seed: int,
    gap_seconds: float,
    params: Params | None = None,
    threshold: float = 0.5,
    validation_share: float = 0.2,
    labels_min: int = LABELS_MIN,
    rounds_max: int = ROUNDS_MAX,
    texts: Mapping[str, Collection[str]] | None = None,
    source: str = "",
    monitoring: Monitoring = UNDECLARED,
    progress: Progress | None = None,
    profiling: Profiling | None = None,
) -> TrainedModel:
    """Trains on the older rows, stops early by and evaluates on the newer ones.

    ``matrix`` (n, features), ``labels`` (n,), ``times`` (n,) in seconds since the epoch and in order; ``gap_seconds`` is the
    label's maturity; ``params`` override LightGBM's; ``texts`` the known texts of category columns; ``monitoring`` says how large
    the monitor's windows are. TrainingRefusedError, with the reason, for data that would make a model nobody should trust.
    """
    check_data(matrix, labels, schema, task, labels_min)
    split = split_by_time(times, gap_seconds, validation_share)
    check_parts(labels, split, task)
    chosen = _params(task, seed, labels, params)
    encoding = fit_encoding(matrix[split.train], schema, texts)
    booster = _boost(matrix, labels, split, schema, encoding, chosen, rounds_max, progress)
    model = LightGBMModel(_stable_text(booster.model_to_string(num_iteration=booster.best_iteration)), schema, task, encoding)
    validation = matrix[split.validation]
    scores = model.score(validation)
    metrics = evaluate(labels[split.validation], scores, task, threshold)
    return TrainedModel(
        model=model,
        metrics=metrics,
        split=split,
        rounds=booster.best_iteration,
        params=chosen,
        seed=seed,
        dataset=Dataset(len(labels), content_hash(matrix, labels, times, schema), source),
        window=(float(times[0]), float(times[-1])),
        golden=golden_rows(validation, seed),
        warnings=collisions(texts or {}),
        profile=reference_profile(
            matrix, times, schema, predictions(task, scores, threshold), task, monitoring, metrics, texts, profiling
        ),
    )


def golden_rows(matrix: Matrix, seed: int) -> Matrix:
    """Up to 100 rows drawn by the seed, in their order."""
    drawn = np.random.default_rng(seed).choice(len(matrix), min(GOLDEN_ROWS, len(matrix)), replace=False)
    return np.ascontiguousarray(matrix[np.sort(drawn)])


def content_hash(matrix: Matrix, labels: Labels, times: Times, schema: FeatureSchema) -> str:
    """SHA-256 of the rows, bit by bit, and of their columns' names and kinds."""
    digest = hashlib.sha256(schema.fingerprint.encode())
    for array in (matrix, labels, times):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit a folder is at and whether files differ from it; None and None outside a repository or without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD").strip()
        return commit, bool(_git(folder, "status", "--porcelain").strip())
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10).stdout


def _params(task: Task, seed: int, labels: Labels, overrides: Params | None) -> dict[str, Param]:
    objective, metric = _OBJECTIVES[task]
    classes: dict[str, Param] = {"num_class": int(labels.max()) + 1} if task == "multiclass" else {}
    chosen = {"objective": objective, "metric": metric, **classes, **DEFAULT_PARAMS, **(overrides or {})}
    return {**chosen, **_FIXED_PARAMS, "seed": seed}


def _boost(
    matrix: Matrix,
    labels: Labels,
    split: TimeSplit,
    schema: FeatureSchema,
    encoding: Encoding,
    params: dict[str, Param],
    rounds_max: int,
    progress: Progress | None,
) -> Any:
    encoder = Encoder(encoding, schema)
    training = lightgbm.Dataset(
        encoder.encode(matrix[split.train]),
        labels[split.train],
        feature_name=column_names(schema),
        categorical_feature=schema.categories,
        params=params,
    )
    validation = training.create_valid(encoder.encode(matrix[split.validation]), labels[split.validation])
    callbacks = [lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, first_metric_only=True, verbose=False)]
    if progress is not None:
        callbacks.append(_reporting(progress))
    return lightgbm.train(params, training, rounds_max, valid_sets=[validation], callbacks=callbacks)


def _reporting(progress: Progress) -> Callable[[Any], None]:
    def report(environment: Any) -> None:
        loss = environment.evaluation_result_list[0][2]
        progress(environment.iteration + 1, environment.end_iteration, float(loss))

    return report


def _stable_text(text: str) -> str:
    # The number of threads is the machine's matter: with `deterministic` it changes no tree, and must not change the bytes.
    return re.sub(r"^\[num_threads: \d+\]\n", "", text, flags=re.MULTILINE)
