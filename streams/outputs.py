"""What a chunk publishes: predictions, served vectors and dead letters, as batches for the publisher."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurestore.compute import Served
from featurestore.events import EventBatch, Ints, contract
from featurestore.plan import FeaturePlan
from scorer.pipeline import Pipeline
from streams.chunk import Record
from streams.codec import KEY_BYTES, Reject
from streams.publisher import Outgoing
from streams.records import PAYLOAD_BYTES, DeadLetter, Prediction, encode, record_id
from streams.serving import ServingModel
from streams.vectors import VectorEncoder, VectorRows


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The output topics of a pipeline."""

    predictions: str
    features: str
    dead_letters: str

    @classmethod
    def of(cls, pipeline: str) -> "TopicNames":
        return cls(f"{pipeline}.predictions", f"{pipeline}.features", f"{pipeline}.dead-letters")


class Outputs:
    """Encodes what one pipeline publishes."""

    def __init__(self, pipeline: Pipeline, plan: FeaturePlan, build: str | None) -> None:
        self.topics = TopicNames.of(pipeline.name)
        self._pipeline, self._build = pipeline.name, build
        self._schema = plan.schema.fingerprint
        self._id = contract(pipeline.score).id
        self._vectors = VectorEncoder(plan)

    def served(self, batch: EventBatch, rows: Ints, served: Served) -> Outgoing:
        """The served vectors of the batch's rows named."""
        event_ids = batch.column(self._id)
        kept = VectorRows(
            prediction_ids=[record_id(*batch.source, offset) for offset in batch.offsets[rows].tolist()],
            event_ids=[str(event_ids[row]) for row in rows.tolist()],
            times=batch.times[rows],
            served=Served(served.vectors[rows], served.ages[rows], served.late[rows], served.missing[rows]),
        )
        values = list(self._vectors.encode(kept))
        return Outgoing(self.topics.features, [None] * len(values), values)

    def predictions(
        self, batch: EventBatch, rows: Ints, served: Served, model: ServingModel, records: Sequence[Record], now: float
    ) -> Outgoing:
        """A prediction for each of the batch's rows named; `records` are the batch's raw records."""
        topic, partition = batch.source
        verdicts = model.judge(served.vectors[rows])
        event_ids, hash, threshold = batch.column(self._id), model.loaded.hash, model.threshold
        offsets, times, ingested = batch.offsets.tolist(), batch.times.tolist(), batch.ingested.tolist()
        missing, late = served.missing.tolist(), served.late.tolist()
        values = [
            encode(
                Prediction(
                    prediction_id=f"{topic}-{partition}-{offsets[row]}",
                    event_id=str(event_ids[row]),
                    key=_text(batch.keys[row]),
                    pipeline=self._pipeline,
                    schema=self._schema,
                    event_time=times[row],
                    ingest_time=ingested[row],
                    scored_time=now,
                    model=model.name,
                    model_version=model.version,
                    model_hash=hash,
                    variant=model.variant,
                    build=self._build,
                    score=verdicts.scores[i],
                    decision=verdicts.decisions[i],
                    threshold=threshold,
                    confidence=verdicts.confidences[i],
                    flags=_flags(missing[row], late[row]),
                    trace_id=_trace_id(records[row]),
                    probabilities=verdicts.probabilities[i],
                )
            )
            for i, row in enumerate(rows.tolist())
        ]
        return Outgoing(self.topics.predictions, [batch.keys[row] for row in rows.tolist()], values)

    def dead_letters(self, batch: EventBatch, rejects: Sequence[Reject], now: float) -> Outgoing:
        """One dead letter a reject, keyed as its record unless the key is too long; `batch` names the source."""
        topic, partition = batch.source
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
                payload=reject.record.value if len(reject.record.value or b"") <= PAYLOAD_BYTES else None,
            )
            for reject in rejects
        ]
        keys = [reject.record.key if len(reject.record.key or b"") <= KEY_BYTES else None for reject in rejects]
        return Outgoing(self.topics.dead_letters, keys, [encode(letter) for letter in letters])


def accepted_records(records: Sequence[Record], batch: EventBatch) -> Sequence[Record]:
    """The raw records of the batch's events."""
    if len(records) == len(batch):
        return records
    offsets = np.array([record.offset for record in records], dtype=np.int64)
    return [records[i] for i in np.searchsorted(offsets, batch.offsets).tolist()]


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode(errors="replace")


def _flags(missing: bool, late: bool) -> list[str]:
    if not (missing or late):
        return []
    return [name for name, raised in (("missing", missing), ("late", late)) if raised]


def _trace_id(record: Record) -> str | None:
    """The trace of a W3C traceparent header ("00-<trace id>-<span>-<flags>"), where the producer sent one."""
    for name, value in record.headers or ():
        if name == "traceparent":
            parts = value.decode("ascii", errors="replace").split("-")
            return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None
    return None
