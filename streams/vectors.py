"""Served vectors as Arrow, on ``<pipeline>.features``: each record is one IPC stream of one batch, for any Arrow reader.

The vector is one fixed-size list, not a column a feature: 33 us instead of 113 us for a single row (docs/decisions.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from featurestore.compute import Served
from featurestore.events import Floats, Ints
from featurestore.plan import FeaturePlan
from featurestore.schema import schema_to_json


@dataclass(frozen=True, slots=True)
class Scored:
    """What one model version said of n rows, float64 (n,) each: NaN where it said nothing."""

    model_version: int
    scores: Floats
    decisions: Floats
    confidences: Floats


@dataclass(frozen=True, slots=True)
class VectorRows:
    """Rows to be logged: ids and event times (float64, seconds) beside what was served, all of it degraded or none.

    ``partitions`` and ``offsets`` int64 (n,) are the source records', which the prediction ids are made of; ``scored`` is None
    where no model serves.
    """

    prediction_ids: list[str]
    event_ids: list[str]
    times: Floats
    served: Served
    partitions: Ints
    offsets: Ints
    scored: Scored | None = None
    degraded: bool = False


class VectorEncoder:
    """Encodes the served vectors of one pipeline.

    A record stays under ``record_bytes``, half of what topics take by default, whatever the ids.
    """

    def __init__(self, plan: FeaturePlan, record_bytes: int = 500_000) -> None:
        self._width, self._groups = len(plan.schema), len(plan.reads)
        metadata = {
            "tidegate.pipeline": plan.pipeline.encode(),
            "tidegate.schema": schema_to_json(plan.schema),
            "tidegate.fingerprint": plan.schema.fingerprint.encode(),
            "tidegate.groups": ",".join(group.name for group in plan.groups).encode(),
        }
        self.schema = pa.schema(
            [
                pa.field("prediction_id", pa.string(), nullable=False),
                pa.field("event_id", pa.string(), nullable=False),
                pa.field("event_time", pa.float64(), nullable=False),
                pa.field("vector", pa.list_(pa.float64(), self._width), nullable=False),
                pa.field("ages", pa.list_(pa.float64(), self._groups), nullable=False),
                pa.field("missing", pa.bool_(), nullable=False),
                pa.field("late", pa.bool_(), nullable=False),
                pa.field("stale", pa.bool_(), nullable=False),
                pa.field("degraded", pa.bool_(), nullable=False),
                pa.field("source_partition", pa.int32(), nullable=False),
                pa.field("source_offset", pa.int64(), nullable=False),
                pa.field("model_version", pa.int32()),
                pa.field("score", pa.float64()),
                pa.field("decision", pa.int32()),
                pa.field("confidence", pa.float64()),
            ],
            metadata=metadata,
        )
        self._record_bytes = record_bytes

    def encode(self, rows: VectorRows) -> Iterator[bytes]:
        """IPC streams that hold all rows, in order."""
        longest = max(map(len, rows.prediction_ids), default=0) + max(map(len, rows.event_ids), default=0)
        row_bytes = 8 * (self._width + self._groups) + 4 * longest + 68  # UTF-8 takes 4 bytes a character at most
        at_once = max(1, self._record_bytes // row_bytes)
        for first in range(0, len(rows.times), at_once):
            yield _stream(self._batch(rows, slice(first, first + at_once)))

    def _batch(self, rows: VectorRows, part: slice) -> pa.RecordBatch:
        served = rows.served
        arrays = [
            pa.array(rows.prediction_ids[part], pa.string()),
            pa.array(rows.event_ids[part], pa.string()),
            pa.array(rows.times[part]),
            _fixed(served.vectors[part], self._width),
            _fixed(served.ages[part], self._groups),
            pa.array(served.missing[part]),
            pa.array(served.late[part]),
            pa.array(served.stale[part]),
            pa.repeat(rows.degraded, len(rows.times[part])),
            pa.array(rows.partitions[part].astype(np.int32)),
            pa.array(rows.offsets[part]),
            *_verdicts(rows.scored, part, len(rows.times[part])),
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _verdicts(scored: Scored | None, part: slice, n: int) -> list[pa.Array]:
    """The columns model_version, score, decision, confidence; null where there is nothing to say."""
    if scored is None:
        return [pa.nulls(n, kind) for kind in (pa.int32(), pa.float64(), pa.int32(), pa.float64())]
    return [
        pa.repeat(pa.scalar(scored.model_version, pa.int32()), n),
        pa.array(scored.scores[part], from_pandas=True),
        pa.array(scored.decisions[part], pa.int32(), from_pandas=True, safe=False),
        pa.array(scored.confidences[part], from_pandas=True),
    ]


def _fixed(rows: Floats, width: int) -> pa.FixedSizeListArray:
    if width == 0:  # no feature group has ages; Arrow's quick way refuses an empty list
        return pa.array([[]] * len(rows), pa.list_(pa.float64(), 0))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).reshape(-1)), width)


def decode_vectors(value: bytes) -> pa.RecordBatch:
    """The batch in one record of ``<pipeline>.features``; its schema's metadata names pipeline, features and groups."""
    with pa.ipc.open_stream(value) as reader:
        return reader.read_next_batch()


def halves(value: bytes) -> list[bytes]:
    """A record's rows in two records; empty where there is one row only."""
    batch = decode_vectors(value)
    middle = len(batch) // 2
    return [_stream(batch.slice(0, middle)), _stream(batch.slice(middle))] if middle else []


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())
