"""One record of ``<pipeline>.features`` as arrays, ready to be counted."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from featurestore.events import Bools, Floats, Ints
from featurestore.schema import FeatureSchema, schema_from_json
from streams.vectors import decode_vectors

_MAY_BE_NULL = ("model_version", "score", "decision", "confidence")
_TYPES = {
    "prediction_id": pa.string(), "event_id": pa.string(), "event_time": pa.float64(), "late": pa.bool_(), "missing": pa.bool_(),
    "stale": pa.bool_(), "source_partition": pa.int32(), "source_offset": pa.int64(), "model_version": pa.int32(),
    "score": pa.float64(), "decision": pa.int32(), "confidence": pa.float64(),
}  # fmt: skip
NO_MODEL = 0  # of rows that no model scored


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n served vectors, as the worker published them: arrays of n, `vectors` (n, features), `ages` (n, groups).

    ``matrix`` is the vector with score, decision and confidence as three columns more, NaN where nothing was said.
    """

    schema: FeatureSchema
    groups: tuple[str, ...]
    prediction_ids: pa.StringArray
    event_ids: pa.StringArray
    times: Floats
    matrix: Floats
    ages: Floats
    late: Bools
    missing: Bools
    stale: Bools
    partitions: Ints
    offsets: Ints
    versions: Ints

    def __len__(self) -> int:
        return len(self.times)

    def ages_of(self, groups: tuple[str, ...]) -> Floats:
        """(n, groups) of these groups, NaN for one that these rows do not know: features change while records lie in Kafka."""
        if groups == self.groups:
            return self.ages
        places = {name: place for place, name in enumerate(self.groups)}
        out = np.full((len(self), len(groups)), np.nan)
        for place, name in enumerate(groups):
            if name in places:
                out[:, place] = self.ages[:, places[name]]
        return out

    def take(self, rows: Ints | Bools | slice) -> "Rows":
        """The rows picked."""
        if isinstance(rows, slice):
            first, stop, _ = rows.indices(len(self))
            ids = self.prediction_ids.slice(first, stop - first), self.event_ids.slice(first, stop - first)
        else:
            places = pa.array(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows)
            ids = self.prediction_ids.take(places), self.event_ids.take(places)
        return Rows(
            self.schema, self.groups, *ids, self.times[rows], self.matrix[rows], self.ages[rows], self.late[rows],
            self.missing[rows], self.stale[rows], self.partitions[rows], self.offsets[rows], self.versions[rows],
        )  # fmt: skip


class UnreadableRows(ValueError):
    """A record that does not hold served vectors, or not in these columns."""


def decode_rows(value: bytes) -> Rows:
    """The rows of one record; UnreadableRows for what is no such record."""
    try:
        return _decoded(_checked(decode_vectors(value)))
    except (
        pa.ArrowException,
        OSError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        StopIteration,
    ) as error:
        raise UnreadableRows(f"{type(error).__name__}: {error}") from error


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, if its bytes are sound, which Arrow takes for granted, and its columns of the types that workers write."""
    batch.validate(full=True)
    for name, kind in _TYPES.items():
        if batch.schema.field(name).type != kind or (name not in _MAY_BE_NULL and batch[name].null_count):
            raise ValueError(f"column {name} is {batch.schema.field(name).type} with {batch[name].null_count} nulls")
    return batch


def _decoded(batch: pa.RecordBatch) -> Rows:
    metadata = batch.schema.metadata
    n = len(batch)
    said = [_floats(batch, name) for name in ("score", "decision", "confidence")]
    return Rows(
        schema=_schema(metadata[b"tidegate.schema"]),
        groups=tuple(metadata[b"tidegate.groups"].decode().split(",")) if metadata[b"tidegate.groups"] else (),
        prediction_ids=batch["prediction_id"],
        event_ids=batch["event_id"],
        times=batch["event_time"].to_numpy(),
        matrix=np.column_stack([_lists(batch, "vector", n), *said]),
        ages=_lists(batch, "ages", n),
        late=_bools(batch, "late"),
        missing=_bools(batch, "missing"),
        stale=_bools(batch, "stale"),
        partitions=batch["source_partition"].to_numpy(),
        offsets=batch["source_offset"].to_numpy(),
        versions=batch["model_version"].fill_null(NO_MODEL).to_numpy(),
    )


@lru_cache(maxsize=8)
def _schema(data: bytes) -> FeatureSchema:
    return schema_from_json(data)


def _lists(batch: pa.RecordBatch, name: str, n: int) -> Floats:
    values: Floats = batch[name].flatten().to_numpy().reshape(n, -1)
    return values


def _bools(batch: pa.RecordBatch, name: str) -> Bools:
    values: Bools = batch[name].to_numpy(zero_copy_only=False)
    return values


def _floats(batch: pa.RecordBatch, name: str) -> Floats:
    values: Floats = batch[name].cast(pa.float64()).fill_null(np.nan).to_numpy()
    return values
