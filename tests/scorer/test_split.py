"""Rows are split by time with a gap, and data that teaches nothing is refused with the reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.errors import TrainingRefusedError
from scorer.split import check_data, check_parts, split_by_time
from tests.scorer.rows import HOUR, SCHEMA, rows

TIMES = st.lists(st.integers(0, 500), min_size=1, max_size=200).map(lambda times: np.array(sorted(times), dtype=np.float64))


@given(times=TIMES, gap=st.integers(0, 300), share=st.floats(0.05, 0.95))
def test_no_training_row_could_have_known_the_validation(times: np.ndarray, gap: int, share: float) -> None:
    """Each training row's label had matured before the first validating row, and no row is lost."""
    try:
        split = split_by_time(times, gap, share)
    except TrainingRefusedError as refused:
        assert "within the gap" in str(refused)  # noqa: PT017 - either it splits as promised or says why not
        return
    train, validation = times[split.train], times[split.validation]
    between = times[split.train_end : split.validation_start]
    assert len(train)
    assert len(validation)
    assert len(train) + len(between) + len(validation) == len(times)
    assert train.max() + gap < validation.min()
    assert (between >= split.boundary - gap).all()
    assert not set(train) & set(validation)


def test_the_validation_has_its_share() -> None:
    split = split_by_time(np.arange(1_000.0), 10, 0.25)
    assert (split.train_end, split.validation_start) == (740, 750)


def test_broken_time_order_is_refused_naming_the_row() -> None:
    with pytest.raises(TrainingRefusedError, match=r"row 2 is 1\.000 s older"):
        split_by_time(np.array([1.0, 3.0, 2.0]), 0)


@pytest.mark.parametrize(
    ("times", "gap", "said"),
    [
        ([1.0, np.nan], 0, "no event time"),
        ([], 0, "no labelled rows"),
        ([0.0, 1.0], 100, "within the gap"),
        ([0.0, 1.0], -1, "the gap"),
    ],
)
def test_what_cannot_be_split_is_refused(times: list[float], gap: float, said: str) -> None:
    with pytest.raises(TrainingRefusedError, match=said):
        split_by_time(np.array(times), gap)


def test_good_data_passes() -> None:
    made = rows()
    check_data(made.matrix, made.labels, SCHEMA, "binary")
    check_parts(made.labels, split_by_time(made.times, HOUR), "binary")


def test_too_few_labels_are_refused_saying_how_many_are_needed() -> None:
    made = rows(1_999)
    with pytest.raises(TrainingRefusedError, match="1999 labels, and 2000 are needed"):
        check_data(made.matrix, made.labels, SCHEMA, "binary")
    check_data(made.matrix, made.labels, SCHEMA, "binary", labels_min=1_000)


def test_an_infinite_feature_is_refused_by_name() -> None:
    made = rows()
    made.matrix[5, 2] = -np.inf
    with pytest.raises(TrainingRefusedError, match=r"'mean\(amount, 1h\)' is infinite in 1 rows"):
        check_data(made.matrix, made.labels, SCHEMA, "binary")


@pytest.mark.parametrize("label", [2.0, 0.5, -1.0, np.nan, np.inf])
def test_labels_of_another_task_are_refused(label: float) -> None:
    made = rows()
    made.labels[7] = label
    with pytest.raises(TrainingRefusedError, match="labels"):
        check_data(made.matrix, made.labels, SCHEMA, "binary")


def test_a_matrix_of_another_shape_is_refused() -> None:
    made = rows()
    with pytest.raises(TrainingRefusedError, match="not 3000 labels x 4 features"):
        check_data(made.matrix[:, :3], made.labels, SCHEMA, "binary")


def test_one_class_in_either_part_is_refused() -> None:
    made = rows()
    split = split_by_time(made.times, HOUR)
    for part, name in ((split.train, "training"), (split.validation, "validation")):
        labels = made.labels.copy()
        labels[part] = 1.0
        with pytest.raises(TrainingRefusedError, match=f"all {name} labels are 1"):
            check_parts(labels, split, "binary")


def test_a_class_that_training_never_saw_is_refused() -> None:
    labels = np.array([0.0, 1.0] * 10 + [0.0, 1.0, 2.0])
    with pytest.raises(TrainingRefusedError, match="class 2"):
        check_parts(labels, split_by_time(np.arange(23.0), 1), "multiclass")
