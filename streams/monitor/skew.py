"""Train/serve skew on live traffic: vectors that workers served against the same computed offline, as for training.

The history is Kafka's, the kernel training's, the order the reference order (event time, topic, partition, offset). A worker that
reads several topics, or partitions, meets events as they arrive: values that differ for that alone are counted apart
(skew_order.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from featurestore import offline
from featurestore.admission import Erasures, picked
from featurestore.definitions import span
from featurestore.events import Bools, EventBatch, Floats, Ints
from featurestore.personal import Pseudonyms
from featurestore.plan import FeaturePlan
from scorer.pipeline import Pipeline
from streams.audit import fills, read_acts
from streams.history import Progress, read_kafka, with_letters
from streams.monitor.records import SkewReport
from streams.monitor.skew_counts import by_column, columns_of, count_skew, mismatched
from streams.monitor.skew_order import explained
from streams.monitor.skew_sample import EntitySample
from streams.monitor.skew_vectors import ServedVectors, newest_served, place_of, read_served
from streams.partition_reader import first_records
from streams.topic_facts import TopicFacts


@dataclass(frozen=True, slots=True)
class Question:
    """What is compared: the pipeline's vectors of the newest ``last_seconds`` of event time, of a ``share`` of its entities.

    ``pseudonyms`` hash personal fields; events that ``erased`` says are of forgotten entities count no more.
    """

    bootstrap_servers: str
    pipeline: Pipeline
    plan: FeaturePlan
    last_seconds: float
    share: float
    pseudonyms: Pseudonyms | None = None
    erased: Erasures | None = None


@dataclass(frozen=True, slots=True)
class Offline:
    """Vectors by the training's kernel, of scored events at ``places`` int64 (n,): float64 (n, features).

    ``comparable`` bool (n,) by group: which of them were computed from the whole of their entity's history.
    """

    places: Ints
    vectors: Floats
    comparable: dict[str, Bools]


async def measure(question: Question, progress: Progress = lambda *_: None) -> SkewReport:
    """The mismatch ratio of every feature; SkewUnknown where nothing can be compared, with the reason."""
    name, servers = question.pipeline.name, question.bootstrap_servers
    end = await newest_served(servers, name)
    between = (end - question.last_seconds, end)
    skipped = await _without_history(question, between[0])
    sample = EntitySample(question.plan, question.share, list(skipped))
    await _read_events(question, between, skipped, sample, progress)
    skipped |= dict.fromkeys(sample.given_up, "the events of its few entities are too many to compute again")
    progress("computing features", 0, 1)
    computed = _computed(question.plan, sample)
    progress("computing features", 1, 1)
    fingerprint, skew = question.plan.schema.fingerprint, question.pipeline.future_skew_seconds
    served = await read_served(servers, name, fingerprint, between, skew, computed.places)
    return _report(question, between, computed, served, sample, skipped)


async def _without_history(question: Question, start: float) -> dict[str, str]:
    """Groups whose windows reach back before what Kafka holds, and why."""
    out: dict[str, str] = {}
    removed: dict[str, float] = {}
    filled = fills(read_acts(question.bootstrap_servers))
    for group in question.plan.groups:
        needed = start - group.horizon_seconds
        fill = filled.get(question.plan.namespace(group))
        if fill is not None and fill.cut is not None and fill.cut > needed:
            out[group.name] = "its state is from Parquet as far back as its windows reach"
            continue
        if group.topic not in removed:
            removed[group.topic] = await _removed_until(question.bootstrap_servers, group.topic)
        if removed[group.topic] > needed - question.pipeline.future_skew_seconds:
            out[group.name] = f"Kafka no longer holds the {span(group.horizon_seconds)} of {group.topic} before the stretch"
    return out


async def _removed_until(bootstrap_servers: str, topic: str) -> float:
    """No record with a later timestamp (seconds) was removed by retention; -inf where none was."""
    facts = TopicFacts(bootstrap_servers)
    tps = facts.partitions([topic])
    ends, latest = facts.ends(tps), -np.inf
    for tp, first in facts.firsts(tps).items():
        if first > 0:
            oldest = await first_records(bootstrap_servers, tp, first, ends[tp], 1)
            latest = max(latest, oldest.records[0].timestamp / 1000 if oldest else np.inf)
    return latest


async def _read_events(
    question: Question, between: tuple[float, float], skipped: Mapping[str, str], sample: EntitySample, progress: Progress
) -> None:
    """Reads what the features of the stretch are computed from into the sample, each topic as far back as its windows need."""

    def keep(batch: EventBatch) -> EventBatch:
        return sample.hold(batch if question.erased is None else picked(batch, question.erased.kept(batch)))

    pipeline, plan = question.pipeline, question.plan
    copied = await with_letters(question.bootstrap_servers, pipeline.name)
    for event in plan.history_events:
        groups = [group for group in plan.groups if group.on.event is event and group.name not in skipped]
        if not groups and event is not plan.scored:
            continue
        first = between[0] - max((group.horizon_seconds for group in groups), default=0.0)
        # To the end: other topics may be ahead of the newest vector, and a worker has counted what they brought.
        await read_kafka(
            question.bootstrap_servers, [event], first, np.inf, pipeline.future_skew_seconds,
            question.pseudonyms, copied, progress, keep,
        )  # fmt: skip


def _computed(plan: FeaturePlan, sample: EntitySample) -> Offline:
    """The vectors of every scored event that is held; its place tells which of them were asked for."""
    batches = sample.batches()
    scored = [batch for batch in batches if batch.event is plan.scored]
    if not scored:
        return Offline(np.empty(0, dtype=np.int64), np.empty((0, len(plan.schema))), {})
    order = offline.reference_order(scored)
    comparable = {
        reads.group.name: np.concatenate([sample.comparable(reads, batch) for batch in scored])[order] for reads in plan.reads
    }
    places = np.concatenate([place_of(batch.partitions, batch.offsets) for batch in scored])[order]
    return Offline(places, offline.compute(plan, batches).served.vectors, comparable)


def _report(
    question: Question,
    between: tuple[float, float],
    computed: Offline,
    served: ServedVectors,
    sample: EntitySample,
    skipped: Mapping[str, str],
) -> SkewReport:
    plan = question.plan
    order = np.argsort(computed.places)
    rows = order[np.searchsorted(computed.places, served.places, sorter=order)]
    comparable = by_column(plan, {name: found[rows] for name, found in computed.comparable.items()}, len(rows))
    vectors = served.vectors if len(rows) else np.empty((0, len(plan.schema)))
    again = computed.vectors[rows]
    by_order = explained(plan, sample.batches(), served.places, vectors, mismatched(vectors, again) & comparable)
    return SkewReport(
        drift_id=f"{plan.pipeline}/skew/{between[0]:.0f}-{between[1]:.0f}",
        pipeline=plan.pipeline,
        window_start=between[0],
        window_end=between[1],
        share=question.share,
        events=len(rows),
        features=count_skew(plan.schema.names, vectors, again, comparable, by_order, columns_of(plan, skipped)),
        left_out=dict(served.left_out),
    )
