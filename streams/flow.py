"""A chunk's path, from raw records to a committed offset; chunks of several partitions go it together. The file to read first.

decode -> read -> features -> score -> publish and wait for the broker's word -> merge, fenced -> the transport commits.

Publishing before merging means: a merged event has been predicted, and an event that must be scored again finds states that do
not contain it. What the steps do lies in codec, featurestore, serving, outputs and publisher; who calls this is worker.py.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from time import time

import numpy as np

from featurestore.admission import Admits
from featurestore.compute import Served
from featurestore.events import EventBatch, Ints, Source, contract, joined
from featurestore.personal import Pseudonyms
from featurestore.plan import FeaturePlan
from featurestore.session import Joint, Session, View
from featurestore.store import Store
from monitors.metrics import WorkerMetrics
from scorer.pipeline import Pipeline
from streams.chunk import TP, Chunk, Record
from streams.codec import Decoder, Reject
from streams.degraded import store_policy
from streams.outputs import Outputs, Refused, accepted_records
from streams.publisher import Outgoing, Publisher
from streams.records import UNSCORED
from streams.scoring import Judge
from streams.serving import ServingModel
from streams.vectors import Scored


@dataclass(slots=True)
class Results:
    """What chunks lead to: dead letters, what is published, and which of the batch's rows are predicted."""

    letters: list[Refused]
    degraded: bool = False
    outgoing: list[Outgoing] = field(default_factory=list)
    predicted: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


class Flow:
    """Handles chunks of a pipeline's topics: one unfinished chunk a partition, several partitions at once or together.

    ``model`` is swapped between chunks; while it is None, features are kept and vectors logged, but nothing is predicted.
    ``tell`` hears that the model fails for everything (why), and that it no longer does (None). ``pseudonyms`` hash personal
    fields; HashKeyError where there are some and it is None.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        plan: FeaturePlan,
        store: Store,
        publisher: Publisher,
        metrics: WorkerMetrics,
        model: ServingModel | None,
        build: str | None = None,
        clock: Callable[[], float] = time,
        tell: Callable[[str | None], None] = lambda why: None,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self.model = model
        self.admits: Admits | None = None  # known when Redis and Kafka answer, before the first assignment
        self._plan, self._store, self._publisher, self._metrics, self._clock = plan, store, publisher, metrics, clock
        self._judge, self._outputs = Judge(tell), Outputs(pipeline, plan, build)
        skew = pipeline.future_skew_seconds
        self._decoders = {contract(event).topic: Decoder(event, skew, pseudonyms) for event in plan.events}
        self._sessions: dict[TP, Session] = {}
        self._policy = store_policy(pipeline, self._merged, metrics.unmerged, partial(metrics.store_away, "flow"))

    async def assign(self, tp: TP, committed: int | None, log_end: int | None) -> int | None:
        """Begins with a partition; where to start if not at the committed offset."""
        self.revoke([tp])
        session = Session(self._plan, self._store, Source(*tp), admits=self.admits)
        start = await self._policy.begin(session, committed, log_end)
        self._sessions[tp] = session
        return start

    def revoke(self, tps: Iterable[TP]) -> None:
        """Forgets partitions that belong to others now."""
        for tp in [tp for tp in tps if tp in self._sessions]:
            self._policy.drop(self._sessions.pop(tp))

    def close(self) -> None:
        """Lets go of all partitions. What was not merged was not committed."""
        self.revoke(list(self._sessions))

    async def settle(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        """Moves the fences of untouched shards, so that offsets may be committed; returns those that may.

        Not those of partitions that are others' now, nor, in recovery, those below what was committed before; nor while the store
        lacks something of the partition.
        """
        ours = {tp: (self._sessions[tp], offset) for tp, offset in offsets.items() if tp in self._sessions}
        # At once: the store moves the fences of all partitions in one round trip.
        settled = await asyncio.gather(*(self._policy.settle(session, offset) for session, offset in ours.values()))
        pairs = zip(ours.items(), settled, strict=True)
        return {tp: offset for (tp, (session, offset)), may in pairs if may and offset >= session.committed}

    async def __call__(self, *chunks: Chunk) -> None:
        """Takes chunks of one topic all the way, computed as one.

        Returns when their offsets may be committed. What it raises must stop the worker.
        """
        sessions = [self._sessions[chunk.tp] for chunk in chunks]
        self._metrics.chunk(chunks[0].topic, sum(len(chunk.records) for chunk in chunks))
        with self._metrics.timed("decode"):
            batch, records, rejects = self._decoded(chunks)
        with self._metrics.timed("read"):
            view = await self._policy.read(sessions, batch)
        letters = [
            Refused(session.source, one)
            for session, found in zip(sessions, rejects, strict=True)
            for one in found
            if one.record.offset > session.predicted_to
        ]
        results = Results(letters, degraded=view.degraded)
        if batch.event is self._plan.scored and view.fresh.any():
            self._serve(records, sessions, view, results)
        if results.letters:
            results.outgoing.append(self._outputs.dead_letters(batch.event, results.letters, self._clock()))
        with self._metrics.timed("publish"):
            await self._publisher.publish(results.outgoing)
        self._published(batch, results)
        with self._metrics.timed("merge"):
            await self._policy.merge(sessions, view, chunks)

    def _decoded(self, chunks: Sequence[Chunk]) -> tuple[EventBatch, Sequence[Record], list[list[Reject]]]:
        """The accepted events as one batch, their raw records, and the rejects of each chunk."""
        decode = self._decoders[chunks[0].topic]
        batches, rejects = zip(*map(decode, chunks), strict=True)
        records = [accepted_records(chunk.records, batch) for chunk, batch in zip(chunks, batches, strict=True)]
        return joined(batches), list(chain.from_iterable(records)) if len(records) > 1 else records[0], list(rejects)

    def _serve(self, records: Sequence[Record], sessions: Sequence[Session], view: View, results: Results) -> None:
        """Adds the vectors of the chunk's fresh events to the results, and with a model their predictions."""
        rows = np.flatnonzero(view.fresh)
        with self._metrics.timed("features"):
            served = Joint(sessions).serve(view).take(rows)
        groups = [group.name for group in self._plan.groups]
        self._metrics.served(served.states(), served.ages, groups, int(served.late.sum()), int(served.missing.sum()))
        said = None
        if self.model is not None:
            with self._metrics.timed("score"):
                said = self._score(self.model, records, view.batch, rows, served, results)
        results.outgoing.insert(0, self._outputs.served(view.batch, rows, served, said, view.degraded))

    def _score(
        self, model: ServingModel, records: Sequence[Record], batch: EventBatch, rows: Ints, served: Served, results: Results
    ) -> Scored:
        """Predictions for the rows that the model can score, dead letters for the others, which are merged all the same."""
        judged = self._judge(model, served)
        said = judged.said(model.version, len(rows))
        if judged.unscored:
            unscored = [(int(rows[place]), why) for place, why in sorted(judged.unscored.items())]
            results.letters.extend(Refused(batch.source_of(row), Reject(records[row], *why)) for row, why in unscored)
            rows, served = rows[judged.places], served.take(judged.places)
        if len(rows):
            results.outgoing.append(
                self._outputs.predictions(batch, rows, served, judged.verdicts, model, records, self._clock(), results.degraded)
            )
        results.predicted = rows
        return said

    def _published(self, batch: EventBatch, results: Results) -> None:
        metrics = self._metrics
        for _, letter in results.letters:
            metrics.count(metrics.dead_letters, 1, letter.reason)
            metrics.count(metrics.events, 1, "failed" if letter.reason in UNSCORED else "rejected")
        outcome = "degraded" if results.degraded else "scored"
        metrics.count(metrics.events, len(results.predicted), outcome)
        if len(results.predicted):
            metrics.end_to_end.observe(outcome, self._clock() - batch.ingested[results.predicted])

    def _merged(self, batch: EventBatch) -> None:
        if len(batch):
            for group in self._plan.written_by(batch.source.topic):
                self._metrics.merged(group.name, self._clock(), batch.ingested)
