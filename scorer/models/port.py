"""The port every model meets, and the checks that adapters share. How a library scores is left to its adapter."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from featurestore.schema import FeatureSchema
from scorer.errors import ModelFileError, SchemaMismatchError, ScoringError
from scorer.pipeline import Task

Matrix = npt.NDArray[np.float64]  # (rows, features), NaN is missing, a category is the CRC-32 of its text
Labels = npt.NDArray[np.float64]  # (rows,): 0 and 1, a class's number from 0, or a value
Scores = npt.NDArray[np.float64]  # (rows,): a probability or a value; multiclass (rows, classes)


@runtime_checkable
class Model(Protocol):
    """Scores rows of one schema.

    A row's score depends on the row alone, bit by bit, whatever the other rows of the call. ``score`` neither keeps nor changes
    its matrix; it raises ScoringError for a matrix that is not float64 of shape (n, features).
    """

    @property
    def kind(self) -> str: ...
    @property
    def schema(self) -> FeatureSchema: ...
    @property
    def task(self) -> Task: ...
    @property
    def threads(self) -> int: ...

    def score(self, matrix: Matrix) -> Scores: ...

    def files(self) -> dict[str, bytes]:
        """Everything ``scorer.models.load_model`` needs to make an equal model, by file name."""
        ...


@runtime_checkable
class OnlineModel(Model, Protocol):
    """A model that goes on learning from labelled rows, in their order."""

    def learn(self, matrix: Matrix, labels: Labels) -> None: ...


def check_matrix(matrix: Matrix, schema: FeatureSchema) -> None:
    """ScoringError unless the matrix is float64 of shape (n, len(schema))."""
    if matrix.ndim != 2 or matrix.shape[1] != len(schema.columns) or matrix.dtype != np.float64:
        raise ScoringError(
            f"the model scores float64 rows of {len(schema)} features, and was given {matrix.dtype} of shape {matrix.shape}; "
            "build the matrix by the model's schema"
        )


def check_labels(matrix: Matrix, labels: Labels) -> None:
    """ScoringError unless there is one finite label a row."""
    if labels.shape != (len(matrix),) or not np.isfinite(labels).all():
        raise ScoringError(f"{len(matrix)} rows need as many finite labels, not shape {labels.shape}; drop unlabelled rows")


def check_schema(found: FeatureSchema, expected: FeatureSchema, owner: str) -> None:
    """SchemaMismatchError unless the two are equal; the message names the first column that differs."""
    if found == expected:
        return
    remedy = "load the version with the schema it was trained on, or train a new one"
    for position, (ours, theirs) in enumerate(zip(found.columns, expected.columns, strict=False)):
        if ours.name != theirs.name:
            where = "in another order" if ours.name in expected.names else "that is not expected"
            raise SchemaMismatchError(
                f"{owner} has column {position} {ours.name!r}, {where}: {theirs.name!r} belongs there; {remedy}"
            )
        if ours.kind is not theirs.kind:
            raise SchemaMismatchError(f"{owner} reads column {ours.name!r} as a {ours.kind}, but it is a {theirs.kind}; {remedy}")
    longer, word = (found, "has an unexpected") if len(found) > len(expected) else (expected, "lacks")
    name = longer.names[min(len(found), len(expected))]
    raise SchemaMismatchError(f"{owner} {word} column {name!r}; {remedy}")


def select_columns(wanted: FeatureSchema, running: FeatureSchema, owner: str) -> npt.NDArray[np.intp] | None:
    """Positions in ``running`` of the columns of ``wanted``, by name; None where the two are equal.

    SchemaMismatchError where a column is not running, or runs as another kind.
    """
    if wanted == running:
        return None
    places = {column.name: (position, column.kind) for position, column in enumerate(running.columns)}
    positions = []
    for column in wanted.columns:
        if column.name not in places:
            raise SchemaMismatchError(
                f"{owner} needs feature {column.name!r}, which this pipeline does not compute; declare the "
                "feature again, or train on the present ones: tidegate train --promote"
            )
        position, kind = places[column.name]
        if kind is not column.kind:
            raise SchemaMismatchError(
                f"{owner} reads feature {column.name!r} as a {column.kind}, but the pipeline computes a {kind}; "
                "train a new version"
            )
        positions.append(position)
    return np.array(positions, dtype=np.intp)


def required_file(files: Mapping[str, bytes], name: str) -> bytes:
    """One of a model's files; ModelFileError where it is missing."""
    found = files.get(name)
    if found is None:
        raise ModelFileError(f"the model lacks its file {name}; fetch the version from the registry again")
    return found
