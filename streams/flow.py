"""One chunk's path, from raw records to a committed offset. The file to read first.

decode -> read -> features -> score -> publish and wait for the broker's word -> merge, fenced -> the transport commits.

Publishing before merging means: a merged event has been predicted, and an event that must be scored again finds states that do
not contain it. What the steps do lies in codec, featurestore, serving, outputs and publisher; who calls this is worker.py.
"""

from collections.abc import Callable, Iterable, Mapping
from time import time

import numpy as np

from featurestore.admission import Admits
from featurestore.events import EventBatch, Source, contract
from featurestore.plan import FeaturePlan
from featurestore.session import Session, View
from featurestore.store import Store
from monitors.metrics import WorkerMetrics
from scorer.pipeline import Pipeline
from streams.chunk import TP, Chunk
from streams.codec import Decoder, Reject
from streams.outputs import Outputs, accepted_records
from streams.publisher import Outgoing, Publisher
from streams.serving import ServingModel


class Flow:
    """Handles chunks of a pipeline's topics: one unfinished chunk a partition, several partitions at once.

    ``model`` is swapped between chunks; while it is None, features are kept and vectors logged, but nothing is predicted.
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
    ) -> None:
        self.model = model
        self.admits: Admits | None = None  # known when Redis and Kafka answer, before the first assignment
        self._plan, self._store, self._publisher, self._metrics, self._clock = plan, store, publisher, metrics, clock
        self._outputs = Outputs(pipeline, plan, build)
        self._decoders = {contract(event).topic: Decoder(event, pipeline.future_skew_seconds) for event in plan.events}
        self._sessions: dict[TP, Session] = {}

    async def assign(self, tp: TP, committed: int | None, log_end: int | None) -> int | None:
        """Begins with a partition; where to start if not at the committed offset."""
        session = Session(self._plan, self._store, Source(*tp), admits=self.admits)
        start = await session.begin(committed, log_end)
        self._sessions[tp] = session
        return start

    def revoke(self, tps: Iterable[TP]) -> None:
        """Forgets partitions that belong to others now."""
        for tp in tps:
            self._sessions.pop(tp, None)

    async def settle(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        """Moves the fences of untouched shards, so that offsets may be committed; returns those that may.

        Not those of partitions that are others' now, nor, in recovery, those below what was committed before.
        """
        ours = {tp: (self._sessions[tp], offset) for tp, offset in offsets.items() if tp in self._sessions}
        for session, offset in ours.values():
            await session.settle(offset)
        return {tp: offset for tp, (session, offset) in ours.items() if offset >= session.committed}

    async def __call__(self, chunk: Chunk) -> None:
        """Takes one chunk all the way; returns when its offset may be committed. What it raises must stop the worker."""
        session = self._sessions[chunk.tp]
        self._metrics.chunk(chunk.topic, len(chunk.records))
        with self._metrics.timed("decode"):
            batch, rejects = self._decoders[chunk.topic](chunk)
        with self._metrics.timed("read"):
            view = await session.read(batch)
        rejects = [reject for reject in rejects if reject.record.offset > session.predicted_to]
        outgoing = self._outgoing(chunk, session, view, rejects)
        with self._metrics.timed("publish"):
            await self._publisher.publish(outgoing)
        self._published(view, rejects)
        with self._metrics.timed("merge"):
            await session.merge(view, chunk.last_offset)
        self._merged(batch)

    def _outgoing(self, chunk: Chunk, session: Session, view: View, rejects: list[Reject]) -> list[Outgoing]:
        """What the chunk publishes: dead letters, and of fresh scored events the vectors and predictions."""
        batch, now = view.batch, self._clock()
        outgoing = [self._outputs.dead_letters(batch, rejects, now)] if rejects else []
        if batch.event is not self._plan.scored or not view.fresh.any():
            return outgoing
        with self._metrics.timed("features"):
            served = session.serve(view)
        rows = np.flatnonzero(view.fresh)
        groups = [group.name for group in self._plan.groups]
        self._metrics.served(served.vectors[rows], served.ages[rows], groups, int(served.late[rows].sum()))
        outgoing.append(self._outputs.served(batch, rows, served))
        if self.model is not None:
            with self._metrics.timed("score"):
                records = accepted_records(chunk.records, batch)
                outgoing.append(self._outputs.predictions(batch, rows, served, self.model, records, now))
        return outgoing

    def _published(self, view: View, rejects: list[Reject]) -> None:
        metrics, batch = self._metrics, view.batch
        metrics.count(metrics.events, len(rejects), "rejected")
        for reject in rejects:
            metrics.count(metrics.dead_letters, 1, reject.reason)
        if batch.event is self._plan.scored and self.model is not None:
            metrics.count(metrics.events, int(view.fresh.sum()), "scored")
            metrics.end_to_end.observe("scored", self._clock() - batch.ingested[view.fresh])

    def _merged(self, batch: EventBatch) -> None:
        if len(batch):
            for group in self._plan.written_by(batch.source.topic):
                self._metrics.merged(group.name, self._clock(), batch.ingested)
