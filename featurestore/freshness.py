"""How old served values may be: a value is fresh, stale or missing, and one that is not fresh is never served as it is.

Ages are event times apart, the scored event's from the entity's newest in the group: a replay decides the same.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from featurestore.definitions import Freshness, On, seconds
from featurestore.errors import DefinitionError
from featurestore.events import Bools, Floats, Ints

STATES = ("fresh", "stale", "missing")
FRESH, STALE, MISSING = range(3)
Marks = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """One Freshness and the columns of a group it is for: positions in the group's columns."""

    columns: Ints
    max_age: float
    otherwise: float  # NaN for null, and where the event is refused
    refuses: bool

    def apply(self, values: Floats, ages: Floats) -> tuple[Floats, Marks]:
        """What is served instead of values, float64 (n, these columns), of entities of these ages (n,), and the value's marks."""
        absent = np.isnan(values) | np.isnan(ages)[:, None]
        marks = np.where(ages[:, None] > self.max_age, STALE, np.where(absent, MISSING, FRESH)).astype(np.uint8)
        return np.where(marks == FRESH, values, self.otherwise), marks


def group_policies(name: str, on: On, columns: Sequence[str]) -> tuple[Policy, ...]:
    """A group's policies, compiled; DefinitionError for one of a column that the group has not (names without the group's)."""
    if on.freshness is None:
        return ()
    if isinstance(on.freshness, Freshness):
        return (_policy(on.freshness, range(len(columns))),)
    for column in on.freshness:
        if column not in columns:
            raise DefinitionError(f"feature group {name!r}: freshness= names {column!r}; its columns are {', '.join(columns)}")
    return tuple(_policy(freshness, [columns.index(column)]) for column, freshness in on.freshness.items())


def _policy(freshness: Freshness, columns: Iterable[int]) -> Policy:
    refuses, null = freshness.otherwise == "refuse", freshness.otherwise == "null"
    return Policy(
        columns=np.array(columns, dtype=np.int64),
        max_age=float(seconds(freshness.max_age)),
        otherwise=math.nan if refuses or null else float(freshness.otherwise),
        refuses=refuses,
    )


def count(marks: Marks | None, vectors: Floats) -> dict[str, int]:
    """How many values are fresh, stale and missing; without marks (no policy declared) a value is missing or fresh."""
    if marks is None:
        missing = int(np.isnan(vectors).sum())
        return {"fresh": vectors.size - missing, "stale": 0, "missing": missing}
    return dict(zip(STATES, np.bincount(marks.ravel(), minlength=len(STATES)).tolist(), strict=True))


def flag(marks: Marks, policy: Policy, stale: Bools, refused: Bools) -> None:
    """Sets the events' flags by the marks of a policy's values, (n, columns)."""
    stale |= (marks == STALE).any(axis=1)
    if policy.refuses:
        refused |= (marks != FRESH).any(axis=1)
