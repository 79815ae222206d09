"""The records that Tidegate publishes: predictions and dead letters. docs/topics.md describes them.

Fields are only ever added, with defaults: consumers may rely on those here.
"""

from typing import Any

import msgspec


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One scored event, on ``<pipeline>.predictions``, keyed as its source record. Times are seconds since the epoch, UTC.

    ``prediction_id`` is topic-partition-offset of the event: a consumer that keeps the first record of each id sees every event
    once. ``score`` is the probability (of class 1; multiclass: of the decided class) or the predicted value.
    """

    prediction_id: str
    event_id: str
    key: str | None
    pipeline: str
    schema: str
    event_time: float
    ingest_time: float
    scored_time: float
    model: str
    model_version: int
    model_hash: str
    variant: str
    build: str | None
    score: float
    decision: bool | int | None
    threshold: float | None
    confidence: float | None
    flags: list[str]
    trace_id: str | None
    probabilities: list[float] | None = None


class PredictionPart(msgspec.Struct, frozen=True, gc=False):
    """The fields of a Prediction that differ within a chunk; with those of PredictionRest they are all of them."""

    prediction_id: str
    event_id: str
    key: str | None
    event_time: float
    ingest_time: float
    score: float
    decision: bool | int | None
    confidence: float | None
    flags: list[str]
    trace_id: str | None
    probabilities: list[float] | None


class PredictionRest(msgspec.Struct, frozen=True):
    """The fields of a Prediction that are the same for a whole chunk."""

    pipeline: str
    schema: str
    scored_time: float
    model: str
    model_version: int
    model_hash: str
    variant: str
    build: str | None
    threshold: float | None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One record without a prediction, on ``<pipeline>.dead-letters``: why, and where it lies.

    Either it broke its contract, or it is an event that was merged but could not be scored.

    ``reason`` is one of REASONS; ``field`` the path of the field at fault, such as ``$.amount``; ``detail`` names expectation and
    type, never a value. ``payload`` is the record's value, base64, left out above PAYLOAD_BYTES and where the topic's events
    have personal fields.
    """

    dead_letter_id: str
    pipeline: str
    reason: str
    field: str | None
    detail: str
    topic: str
    partition: int
    offset: int
    ingest_time: float
    rejected_time: float
    payload: bytes | None


REJECTED = ("empty", "malformed", "contract", "time", "future", "oversize")  # not an event
UNSCORED = ("scoring", "refused")  # an event that was merged and has no prediction
REASONS = REJECTED + UNSCORED
PAYLOAD_BYTES = 65_536

_encoder = msgspec.json.Encoder()


def encode(record: Prediction | PredictionPart | PredictionRest | DeadLetter) -> bytes:
    return _encoder.encode(record)


def record_id(topic: str, partition: int, offset: int) -> str:
    """The id of whatever is published about one source record.

    >>> record_id("flights.departures", 3, 17)
    'flights.departures-3-17'
    """
    return f"{topic}-{partition}-{offset}"


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each kind of record, by topic suffix, as committed in docs/schemas."""
    return {"predictions": msgspec.json.schema(Prediction), "dead-letters": msgspec.json.schema(DeadLetter)}
