"""LightGBM behind the model port: the text model and the encoding it was trained with.

LightGBM itself is imported where it is needed: to read the model and prove our walk over its trees, unless its answers to that
proof are known (scorer.models.answers), and to score what the walk cannot. Training is left to scorer.training; verifying a
version to scorer.artifact.
"""

import logging
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from featurestore.schema import FeatureSchema
from scorer.errors import ModelFileError, SchemaMismatchError, UnsupportedForestError
from scorer.models import lean
from scorer.models.answers import Answers
from scorer.models.encoding import Encoder, Encoding
from scorer.models.forest import Forest
from scorer.models.forest_proof import proven
from scorer.models.port import Matrix, Scores, check_matrix, check_schema, required_file
from scorer.pipeline import Task

log = logging.getLogger(__name__)

MODEL_FILE, ENCODING_FILE = "model.txt", "encoding.json"


class _EncodingFile(msgspec.Struct, frozen=True):
    """What encoding.json holds: all that LightGBM's own text does not say."""

    schema: FeatureSchema
    task: Task
    encoding: Encoding


class _UnknownError(Exception):
    """LightGBM has not been asked before."""


class LightGBMModel:
    """A LightGBM text model with its encoding.

    ``threads`` is how many a score uses, 1 unless set: a worker's chunks are small, and its threads would wait for each other.
    With one, a binary classifier or regression is scored by ``forest`` if that is proven to give the same bits; where it is None,
    LightGBM itself scores.

    ``answers`` is for a process that only scores: the folder where LightGBM's answers to the proof are kept. LightGBM is then
    imported only where they are not there, and without scikit-learn.
    """

    kind = "lightgbm"

    def __init__(
        self,
        text: str,
        schema: FeatureSchema,
        task: Task,
        encoding: Encoding,
        *,
        threads: int = 1,
        answers: Path | None = None,
    ) -> None:
        self.text, self.schema, self.task, self.encoding, self.threads = text, schema, task, encoding, threads
        self._answers = None if answers is None else Answers(answers, text)
        _check_names(_names(text), schema)
        _check_task(text, task)
        self._encoder = Encoder(encoding, schema)
        self.forest = self._proven()
        if self.forest is None:
            self._booster  # noqa: B018  # a text that LightGBM cannot read is refused now

    @cached_property
    def _booster(self) -> Any:
        lightgbm = lean.import_lightgbm() if self._answers is None else lean.import_lightgbm_alone()
        try:
            return lightgbm.Booster(model_str=self.text)
        except lightgbm.basic.LightGBMError as error:
            raise ModelFileError(f"LightGBM cannot read the model text ({error}); fetch the version again") from error

    def _proven(self) -> Forest | None:
        if self.threads != 1:
            return None
        for ask in (self._recalled, self._asked) if self._answers else (self._predict,):
            try:
                return proven(self.text, ask)
            except UnsupportedForestError as error:
                unproven = error
            except _UnknownError:
                continue
        log.info("LightGBM itself scores the model: %s", unproven)
        return None

    def _recalled(self, rows: Matrix) -> Scores:
        """What LightGBM answered at an earlier start."""
        known = self._answers.recall(rows) if self._answers else None
        if known is None:
            raise _UnknownError
        return known

    def _asked(self, rows: Matrix) -> Scores:
        """LightGBM's own scores, kept for later starts: also where those recalled are not the walk's (a change of libm)."""
        scores = self._predict(rows)
        if self._answers:
            self._answers.keep(rows, scores)
        return scores

    def score(self, matrix: Matrix) -> Scores:
        """Probabilities (binary), values (regression) or probabilities of each class, shape (n, classes)."""
        check_matrix(matrix, self.schema)
        if not len(matrix):
            return np.empty((0, self._booster.num_model_per_iteration()) if self.task == "multiclass" else 0)
        encoded = self._encoder.encode(matrix)
        return self._predict(encoded) if self.forest is None else self.forest.score(encoded)

    def _predict(self, encoded: Matrix) -> Scores:
        """LightGBM's own scores."""
        scores: Scores = self._booster.predict(encoded, num_threads=self.threads)
        return scores

    def files(self) -> dict[str, bytes]:
        described = _EncodingFile(self.schema, self.task, self.encoding)
        encoding = msgspec.json.format(msgspec.json.encode(described), indent=1)
        return {MODEL_FILE: self.text.encode(), ENCODING_FILE: encoding}

    @classmethod
    def load(
        cls, files: Mapping[str, bytes], schema: FeatureSchema, *, threads: int = 1, answers: Path | None = None
    ) -> "LightGBMModel":
        """The model of ``files``; see ``scorer.models.load_model``."""
        try:
            described = msgspec.json.decode(required_file(files, ENCODING_FILE), type=_EncodingFile)
            text = required_file(files, MODEL_FILE).decode()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ModelFileError(f"the model's files cannot be read ({error}); fetch the version again") from error
        check_schema(described.schema, schema, "the LightGBM model")
        return cls(text, schema, described.task, described.encoding, threads=threads, answers=answers)


def column_names(schema: FeatureSchema) -> list[str]:
    """The schema's names as LightGBM accepts them: it refuses spaces and JSON's own characters, and needs them distinct.

    >>> from featurestore.schema import FeatureColumn, FeatureKind
    >>> column_names(FeatureSchema((FeatureColumn("mean(a, 1h)", FeatureKind.NUMBER),)))
    ['mean_a_1h_']
    """
    plain = [re.sub(r"[^A-Za-z0-9_.+-]+", "_", name) for name in schema.names]
    return [name if plain.count(name) == 1 else f"{name}_{position}" for position, name in enumerate(plain)]


def _names(text: str) -> list[str]:
    found = re.search(r"^feature_names=(.*)$", text, re.MULTILINE)
    if found is None:
        raise ModelFileError("the model text names no features, so LightGBM did not write it; fetch the version again")
    return found.group(1).split()


def _check_names(found: list[str], schema: FeatureSchema) -> None:
    expected = column_names(schema)
    if len(found) != len(expected):
        raise SchemaMismatchError(
            f"the LightGBM text has {len(found)} features and its schema {len(expected)}; "
            "register it with the schema it was trained on"
        )
    for position, (ours, theirs, name) in enumerate(zip(found, expected, schema.names, strict=True)):
        if ours != theirs:
            raise SchemaMismatchError(
                f"the LightGBM text has {ours!r} in column {position}, where the schema has {name!r}; "
                "register it with the schema it was trained on"
            )


_OBJECTIVES: dict[str, Task] = {
    "binary": "binary",
    "cross_entropy": "binary",
    "multiclass": "multiclass",
    "multiclassova": "multiclass",
}


def _check_task(text: str, task: Task) -> None:
    found = re.search(r"^objective=(\S+)", text, re.MULTILINE)
    objective = found.group(1) if found else "none"
    if _OBJECTIVES.get(objective, "regression") != task:
        raise ModelFileError(f"the LightGBM text has objective {objective}, which does not score a {task} task; declare its task")
