"""River behind the model port: a linear model that learns one labelled row at a time.

Numbers are standardised by running mean and variance, a category is one input per code, a missing value is no input (for a
standardised number: its mean). When to learn and where checkpoints go are left to the learner in streams.
"""

import hashlib
import hmac
import math
import pickle
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from river import linear_model, optim, preprocessing

from featurestore.schema import FeatureSchema
from scorer.errors import ModelFileError, NonFiniteModelError, ScoringError, SignatureError
from scorer.models.port import Labels, Matrix, Scores, check_labels, check_matrix, check_schema, required_file
from scorer.pipeline import Task

CHECKPOINT_FILE = "checkpoint.signed"
_MAGIC = b"tidegate-river-1\n"
_SIGNATURE_BYTES = hashlib.sha256().digest_size
_KEY_BYTES_MIN = 16  # 128 bits, below which HMAC's key is the weakest part


class RiverModel:
    """An online model over rows of one schema. ``key`` signs its checkpoints; without one it can score but not be saved."""

    kind = "river"
    threads = 1

    def __init__(
        self,
        schema: FeatureSchema,
        task: Task,
        *,
        classes: int = 2,
        learning_rate: float = 0.01,
        key: bytes | None = None,
    ) -> None:
        self.schema, self.task, self.classes = schema, task, classes
        self._key = None if key is None else _checked_key(key)
        self._numeric = [(i, name) for i, name in enumerate(schema.names) if i not in schema.categories]
        self._categorical = [(i, schema.names[i]) for i in schema.categories]
        self._scaler = preprocessing.StandardScaler()
        self._estimator = _estimator(task, learning_rate)

    def score(self, matrix: Matrix) -> Scores:
        """Probabilities, values, or probabilities of each class (n, classes); before any learning 0.5, 0 and 1 / classes."""
        check_matrix(matrix, self.schema)
        rows = [self._inputs(row) for row in matrix.tolist()]
        if self.task == "regression":
            return np.array([self._estimator.predict_one(row) for row in rows], dtype=np.float64)
        scored = [self._estimator.predict_proba_one(row) for row in rows]
        if self.task == "binary":
            return np.array([chances[True] for chances in scored], dtype=np.float64)
        return np.array([self._chances(chances) for chances in scored], dtype=np.float64).reshape(-1, self.classes)

    def learn(self, matrix: Matrix, labels: Labels) -> None:
        """Takes one step a row, in order; labels of shape (n,). ScoringError, with nothing learnt, for labels of another task."""
        check_matrix(matrix, self.schema)
        check_labels(matrix, labels)
        targets = self._targets(labels)
        for row, target in zip(matrix.tolist(), targets, strict=True):
            self._scaler.learn_one(self._numbers(row))
            self._estimator.learn_one(self._inputs(row), target)

    def _targets(self, labels: Labels) -> list[Any]:
        if self.task == "regression":
            found: list[Any] = labels.tolist()
            return found
        limit = 2 if self.task == "binary" else self.classes
        if not np.isin(labels, np.arange(limit)).all():
            raise ScoringError(
                f"labels of a {self.task} task are whole numbers from 0 to {limit - 1}; check the label's value rule"
            )
        return [bool(label) if self.task == "binary" else int(label) for label in labels]

    def _numbers(self, row: list[float]) -> dict[str, float]:
        return {name: row[position] for position, name in self._numeric if math.isfinite(row[position])}

    def _inputs(self, row: list[float]) -> dict[str, float]:
        # In the schema's order: sums of floats must not depend on the order of a set (River's own selectors use sets).
        inputs: dict[str, float] = self._scaler.transform_one(self._numbers(row))
        for position, name in self._categorical:
            if math.isfinite(row[position]):
                inputs[f"{name}={row[position]:.0f}"] = 1.0
        return inputs

    def _chances(self, chances: dict[int, float]) -> list[float]:
        if not chances:
            return [1.0 / self.classes] * self.classes
        return [chances.get(number, 0.0) for number in range(self.classes)]

    def files(self) -> dict[str, bytes]:
        """The signed checkpoint. NonFiniteModelError where a weight is NaN or infinite; SignatureError without a key."""
        if self._key is None:
            raise SignatureError("a River model needs a key to sign its checkpoint; set TIDEGATE_CHECKPOINT_KEY")
        self._check_finite()
        state = {
            "schema": msgspec.json.encode(self.schema),
            "task": self.task,
            "classes": self.classes,
            "scaler": self._scaler,
            "estimator": self._estimator,
        }
        payload = pickle.dumps(state, protocol=5)
        return {CHECKPOINT_FILE: _MAGIC + _signature(self._key, payload) + payload}

    def _check_finite(self) -> None:
        if not all(map(math.isfinite, _numbers_in(self._weights()))):
            raise NonFiniteModelError(
                "the River model has weights that are not finite: learning has diverged; go back to the last checkpoint and "
                "lower the learning rate or look for extreme values in the labelled rows"
            )

    def _weights(self) -> list[Any]:
        linear = self._estimator.regressor if self.task == "regression" else self._estimator
        scales = [self._estimator.var.mean.get(), self._estimator.var.get()] if self.task == "regression" else []
        return [self._scaler.means, self._scaler.vars, linear.weights, getattr(linear, "intercept", 0.0), scales]

    @classmethod
    def load(cls, files: Mapping[str, bytes], schema: FeatureSchema, *, key: bytes | None) -> "RiverModel":
        """The model of a checkpoint, which is verified before it is unpickled; see ``scorer.models.load_model``."""
        state = _open_checkpoint(required_file(files, CHECKPOINT_FILE), key)
        check_schema(msgspec.json.decode(state["schema"], type=FeatureSchema), schema, "the River model")
        model = cls(schema, state["task"], classes=state["classes"], key=key)
        model._scaler, model._estimator = state["scaler"], state["estimator"]
        return model


def _estimator(task: Task, learning_rate: float) -> Any:
    optimizer = optim.SGD(learning_rate)
    if task == "binary":
        return linear_model.LogisticRegression(optimizer=optimizer)
    if task == "regression":
        # The label is standardised too and its steps bounded: squared loss would diverge on a label in minutes or cents.
        regression = linear_model.LinearRegression(optimizer=optimizer, intercept_lr=learning_rate, clip_gradient=10.0)
        return preprocessing.TargetStandardScaler(regression)
    return linear_model.SoftmaxRegression(optimizer=optimizer)


def _numbers_in(held: Any) -> list[float]:
    if isinstance(held, Mapping):
        return [number for value in held.values() for number in _numbers_in(value)]
    if isinstance(held, list):
        return [number for value in held for number in _numbers_in(value)]
    return [float(held)]


def _checked_key(key: bytes) -> bytes:
    if len(key) < _KEY_BYTES_MIN:
        raise SignatureError(
            f"the checkpoint key has {len(key)} bytes, not {_KEY_BYTES_MIN} or more; make one: openssl rand -hex 32"
        )
    return key


def _signature(key: bytes, payload: bytes) -> bytes:
    return hmac.new(key, _MAGIC + payload, hashlib.sha256).digest()


def _open_checkpoint(data: bytes, key: bytes | None) -> dict[str, Any]:
    if key is None:
        raise SignatureError("a River checkpoint is only read with the key that signed it; set TIDEGATE_CHECKPOINT_KEY")
    if not data.startswith(_MAGIC):
        raise ModelFileError("this is no River checkpoint of a form that this Tidegate reads; fetch the version again")
    body = data[len(_MAGIC) :]
    signature, payload = body[:_SIGNATURE_BYTES], body[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(_checked_key(key), payload)):
        raise SignatureError(
            "the River checkpoint was not signed with this key, or was changed since; "
            "use the learner's key or fetch the version again"
        )
    state: dict[str, Any] = pickle.loads(payload)
    return state
