"""What a chunk publishes: predictions, served vectors and dead letters, as batches for the publisher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from msgspec import structs

from featurestore.compute import Served
from featurestore.events import Event, EventBatch, Ints, Source, contract
from featurestore.plan import FeaturePlan
from scorer.pipeline import Pipeline
from streams.chunk import Record
from streams.codec import KEY_BYTES, Reject
from streams.publisher import Outgoing
from streams.records import PAYLOAD_BYTES, DeadLetter, PredictionPart, PredictionRest, encode, record_id
from streams.serving import ServingModel, Verdicts
from streams.vectors import Scored, VectorEncoder, VectorRows, halves

PREDICTION_TOO_LARGE = "its prediction of"  # begins the detail of a letter whose event was merged


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The output topics of a pipeline."""

    predictions: str
    features: str
    dead_letters: str

    @classmethod
    def of(cls, pipeline: str) -> "TopicNames":
        return cls(f"{pipeline}.predictions", f"{pipeline}.features", f"{pipeline}.dead-letters")


class Refused(NamedTuple):
    """A reject, and the partition that its record is of."""

    source: Source
    reject: Reject


class Outputs:
    """Encodes what one pipeline publishes."""

    def __init__(self, pipeline: Pipeline, plan: FeaturePlan, build: str | None) -> None:
        self.topics = TopicNames.of(pipeline.name)
        self._pipeline, self._build = pipeline.name, build
        self._schema = plan.schema.fingerprint
        self._id = contract(pipeline.score).id
        self._vectors = VectorEncoder(plan)

    def served(self, batch: EventBatch, rows: Ints, served: Served, scored: Scored | None, degraded: bool = False) -> Outgoing:
        """The vectors `served` to the batch's rows named, and what the model said of each."""
        event_ids = batch.column(self._id)
        kept = VectorRows(
            prediction_ids=_record_ids(batch, rows),
            event_ids=[str(event_ids[row]) for row in rows.tolist()],
            times=batch.times[rows],
            served=served,
            partitions=batch.partitions[rows],
            offsets=batch.offsets[rows],
            scored=scored,
            degraded=degraded,
        )
        return self._vector_records(list(self._vectors.encode(kept)))

    def _vector_records(self, values: Sequence[bytes]) -> Outgoing:
        """A record that its topic finds too large is halved, down to one vector."""

        def halved(place: int) -> list[Outgoing]:
            return [self._vector_records(parts)] if (parts := halves(values[place])) else []

        return Outgoing(self.topics.features, [None] * len(values), values, halved)

    def predictions(
        self,
        batch: EventBatch,
        rows: Ints,
        served: Served,
        verdicts: Verdicts,
        model: ServingModel,
        records: Sequence[Record],
        now: float,
        degraded: bool = False,
    ) -> Outgoing:
        """A prediction for each of the batch's rows named; `records` are the raw records of the whole batch."""
        chosen = rows.tolist()
        event_ids = batch.column(self._id)
        keys = [batch.keys[row] for row in chosen]
        tail = b"," + encode(self._same_for_all(model, now))[1:]
        parts = map(
            PredictionPart,
            _record_ids(batch, rows),
            [str(event_ids[row]) for row in chosen],
            [_text(key) for key in keys],
            batch.times[rows].tolist(),
            batch.ingested[rows].tolist(),
            verdicts.scores,
            verdicts.decisions,
            verdicts.confidences,
            _flags(served, degraded),
            [_trace_id(records[row]) for row in chosen],
            verdicts.probabilities,
        )
        values = [encode(part)[:-1] + tail for part in parts]

        def letter(place: int) -> list[Outgoing]:
            detail = f"{PREDICTION_TOO_LARGE} {len(values[place])} bytes is more than {self.topics.predictions} takes"
            refused = Refused(batch.source_of(chosen[place]), Reject(records[chosen[place]], "oversize", None, detail))
            return [self.dead_letters(batch.event, [refused], now)]

        return Outgoing(self.topics.predictions, keys, values, letter)

    def _same_for_all(self, model: ServingModel, now: float) -> PredictionRest:
        """What every prediction of a chunk says alike, encoded once."""
        return PredictionRest(
            self._pipeline, self._schema, now, model.name, model.version, model.loaded.hash, model.variant, self._build,
            model.threshold,
        )  # fmt: skip

    def dead_letters(self, event: type[Event], refused: Sequence[Refused], now: float) -> Outgoing:
        """One dead letter each, keyed as its record unless the key is too long; `event` is what the records should have been.

        Of a record of an event with personal fields neither key nor value: what broke its contract may hold anything anywhere.
        """
        bare_only = bool(contract(event).personal)
        letters = [
            DeadLetter(
                dead_letter_id=record_id(topic, partition, reject.record.offset),
                pipeline=self._pipeline,
                reason=reject.reason,
                field=reject.field,
                detail=reject.detail,
                topic=topic,
                partition=partition,
                offset=reject.record.offset,
                ingest_time=reject.record.timestamp / 1000,
                rejected_time=now,
                payload=None if bare_only or len(reject.record.value or b"") > PAYLOAD_BYTES else reject.record.value,
            )
            for (topic, partition), reject in refused
        ]
        keys = [None if bare_only or len(each.record.key or b"") > KEY_BYTES else each.record.key for _, each in refused]

        def bare(place: int) -> list[Outgoing]:
            return [Outgoing(self.topics.dead_letters, [None], [encode(structs.replace(letters[place], payload=None))])]

        return Outgoing(self.topics.dead_letters, keys, [encode(letter) for letter in letters], bare)


def accepted_records(records: Sequence[Record], batch: EventBatch) -> Sequence[Record]:
    """The raw records of the batch's events."""
    if len(records) == len(batch):
        return records
    offsets = np.array([record.offset for record in records], dtype=np.int64)
    return [records[i] for i in np.searchsorted(offsets, batch.offsets).tolist()]


def _record_ids(batch: EventBatch, rows: Ints) -> list[str]:
    """streams.records.record_id of each."""
    topic, offsets = batch.source.topic, batch.offsets[rows].tolist()
    return [f"{topic}-{partition}-{offset}" for partition, offset in zip(batch.partitions[rows].tolist(), offsets, strict=True)]


_NO_FLAGS: list[str] = []  # shared: encoded, never changed


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode(errors="replace")


def _flags(served: Served, degraded: bool) -> list[list[str]]:
    """Of each event, what its vector lacked."""
    raised = {"missing": served.missing, "late": served.late, "stale": served.stale}
    all_alike = ["degraded"] if degraded else _NO_FLAGS
    flags = [all_alike] * len(served.late)
    for row in np.flatnonzero(np.logical_or.reduce(list(raised.values()))).tolist():
        flags[row] = [*(name for name, rows in raised.items() if rows[row]), *all_alike]
    return flags


def _trace_id(record: Record) -> str | None:
    """The trace of a W3C traceparent header ("00-<trace id>-<span>-<flags>"), where the producer sent one."""
    if not record.headers:
        return None
    for name, value in record.headers:
        if name == "traceparent" and value is not None:
            parts = value.decode("ascii", errors="replace").split("-")
            return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None
    return None
