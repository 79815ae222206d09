"""Training and validation rows split by time, with a gap, and the refusals of data that no model should be trained on.

A random split would let the model see its validation rows' future. The gap is the labels' maturity: at the moment the
validation starts, no later label was known.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.schema import FeatureSchema
from scorer.errors import TrainingRefusedError
from scorer.models.port import Labels, Matrix
from scorer.pipeline import Task

Times = npt.NDArray[np.float64]  # (rows,), seconds since the epoch
# Of 2,000 labels 400 validate: at a third positives an AUC of 0.75 is then known to +- 0.05 (Hanley and McNeil 1982).
LABELS_MIN = 2_000


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Rows [0, train_end) train, [validation_start, rows) validate; those between lie in the gap and are not used.

    ``boundary`` is the time the validation starts at; every training row is older than ``boundary`` - ``gap_seconds``.
    """

    train_end: int
    validation_start: int
    rows: int
    boundary: float
    gap_seconds: float

    @property
    def train(self) -> slice:
        return slice(0, self.train_end)

    @property
    def validation(self) -> slice:
        return slice(self.validation_start, self.rows)


def split_by_time(times: Times, gap_seconds: float, validation_share: float = 0.2) -> TimeSplit:
    """Splits rows in time order so that about ``validation_share`` of them validate.

    Rows of one time are never torn apart. TrainingRefusedError where times are not finite and in order, or a part is empty.

    >>> split_by_time(np.arange(10.0), gap_seconds=2, validation_share=0.3)
    TimeSplit(train_end=5, validation_start=7, rows=10, boundary=7.0, gap_seconds=2)
    """
    _check_times(times)
    if not 0 < validation_share < 1 or gap_seconds < 0:
        raise TrainingRefusedError(
            f"the validation share is {validation_share} and the gap {gap_seconds} s; give 0 to 1 and 0 or more"
        )
    if not len(times):
        raise TrainingRefusedError("there are no labelled rows; train on a longer time, or wait for labels to mature")
    boundary = float(times[min(int(len(times) * (1 - validation_share)), len(times) - 1)])
    validation_start = int(np.searchsorted(times, boundary, side="left"))
    train_end = int(np.searchsorted(times, boundary - gap_seconds, side="left"))
    if train_end == 0:
        span = boundary - float(times[0])
        raise TrainingRefusedError(
            f"no row is left to train on: the {span:.0f} s before the validation are within the gap of {gap_seconds:.0f} s "
            "(the label's maturity); train on a longer time"
        )
    return TimeSplit(train_end, validation_start, len(times), boundary, gap_seconds)


def _check_times(times: Times) -> None:
    if not np.isfinite(times).all():
        raise TrainingRefusedError("some rows have no event time; check the contract's time field")
    backwards = np.flatnonzero(np.diff(times) < 0)
    if len(backwards):
        row = int(backwards[0]) + 1
        raise TrainingRefusedError(
            f"time order is broken: row {row} is {times[row - 1] - times[row]:.3f} s older than the row before it; "
            "sort the rows by event time (rows were not sorted here, since labels and features may have been joined out of order)"
        )


def check_data(matrix: Matrix, labels: Labels, schema: FeatureSchema, task: Task, labels_min: int = LABELS_MIN) -> None:
    """TrainingRefusedError for rows (n, features) and labels (n,) that would make a model nobody should trust, saying why."""
    if matrix.shape != (len(labels), len(schema)):
        raise TrainingRefusedError(
            f"the matrix has shape {matrix.shape}, not {len(labels)} labels x {len(schema)} features; compute it by the schema"
        )
    if len(labels) < labels_min:
        raise TrainingRefusedError(
            f"there are {len(labels)} labels, and {labels_min} are needed; "
            "train on a longer time, and check that labels carry the ids of scored events"
        )
    if not np.isfinite(labels).all():
        raise TrainingRefusedError(f"{int((~np.isfinite(labels)).sum())} labels are not finite; check the label's value rule")
    _check_infinite(matrix, schema)
    _check_classes(labels, task)


def _check_infinite(matrix: Matrix, schema: FeatureSchema) -> None:
    infinite = np.isinf(matrix).sum(axis=0)
    if infinite.any():
        worst = int(np.argmax(infinite))
        raise TrainingRefusedError(
            f"feature {schema.names[worst]!r} is infinite in {int(infinite[worst])} rows; bound the field in its event contract"
        )


def _check_classes(labels: Labels, task: Task) -> None:
    if task == "regression":
        return
    if not np.array_equal(labels, np.floor(labels)) or labels.min() < 0 or (task == "binary" and labels.max() > 1):
        allowed = "0 and 1" if task == "binary" else "whole numbers from 0"
        raise TrainingRefusedError(f"labels of a {task} task are {allowed}; check the label's value rule or declare another task")


def check_parts(labels: Labels, split: TimeSplit, task: Task) -> None:
    """TrainingRefusedError where a part of the split has one class only, or training lacks a class that validation has."""
    if task == "regression":
        return
    train, validation = set(np.unique(labels[split.train])), set(np.unique(labels[split.validation]))
    for part, classes in (("training", train), ("validation", validation)):
        if len(classes) < 2:
            raise TrainingRefusedError(
                f"all {part} labels are {next(iter(classes)):.0f}: one class teaches nothing; train on a time that has both, "
                "or check the label's value rule"
            )
    if not validation <= train:
        raise TrainingRefusedError(
            f"class {min(validation - train):.0f} is in the validation and not in the training; train on a longer time"
        )
