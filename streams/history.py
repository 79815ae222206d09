"""A pipeline's history as Kafka holds it: the events that workers would have counted, for training.

Records pass the worker's own decoding: contract, future skew and personal fields are the same, and what is no event is counted
and told, never fatal. A replayed record (streams.replaying) whose original keeps the contract now is left out, being the
same event. Copies are looked for only where there are dead letters, because that takes the records' headers.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from featurestore.admission import picked
from featurestore.errors import HistoryError
from featurestore.events import Event, EventBatch, contract
from featurestore.personal import Pseudonyms
from featurestore.plan import FeaturePlan
from scorer.pipeline import Pipeline
from streams.chunk import TP, Chunk
from streams.codec import Decoder
from streams.dead_letters import read_letters, replay_of
from streams.errors import DeadLettersError
from streams.partition_reader import read_partition
from streams.records import record_id
from streams.topic_facts import TopicFacts

CHUNK_RECORDS = 10_000
Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all
Keep = Callable[[EventBatch], EventBatch]  # what of a batch is held


@dataclass(slots=True)
class KafkaHistory:
    """What was read: ``batches`` for featurestore.offline; by topic what was left out.

    ``rejected`` counts by reason, ``copies`` are replayed records whose originals are there; ``began`` names the partitions whose
    oldest records retention has removed, with the first offset left.
    """

    batches: list[EventBatch] = field(default_factory=list)
    rejected: dict[str, Counter[str]] = field(default_factory=dict)
    copies: Counter[str] = field(default_factory=Counter)
    began: dict[TP, int] = field(default_factory=dict)


async def read_kafka(
    bootstrap_servers: str,
    events: Sequence[type[Event]],
    first: float,
    last: float,
    future_skew_seconds: float,
    pseudonyms: Pseudonyms | None = None,
    replayable: Collection[TP] = (),
    progress: Progress = lambda *_: None,
    keep: Keep = lambda batch: batch,
) -> KafkaHistory:
    """Everything of these events' topics up to now with first <= event time < last (seconds since the epoch).

    Records with a timestamp from before `first - future_skew_seconds` are not read: no event in them can be that young.
    `replayable` are the partitions with dead letters. `keep` says what of each batch is held. HistoryError where a topic is
    missing; RecordsGone where retention overtakes the reading.
    """
    facts, out = TopicFacts(bootstrap_servers), KafkaHistory()
    for event in events:
        topic, decode = contract(event).topic, Decoder(event, future_skew_seconds, pseudonyms)
        tps = await asyncio.to_thread(facts.partitions, [topic])
        if not tps:
            raise HistoryError(f"there is no topic {topic} in Kafka yet; workers create it. Train on files: --data")
        firsts, ends, begins = facts.firsts(tps), facts.ends(tps), facts.since(tps, first - future_skew_seconds)
        out.began |= {tp: offset for tp, offset in firsts.items() if offset > 0}
        for tp in tps:
            begin, end = begins[tp], ends[tp]
            chunks = read_partition(bootstrap_servers, tp, begin, end, CHUNK_RECORDS, headers=tp in replayable)
            async for reached in _add(chunks, decode, out, lambda batch: keep(_between(batch, first, last))):
                progress(f"reading {tp.topic}/{tp.partition}", reached - begin, end - begin)
    return out


def _between(batch: EventBatch, first: float, last: float) -> EventBatch:
    return picked(batch, (batch.times >= first) & (batch.times < last))


def needed_events(pipeline: Pipeline, plan: FeaturePlan) -> list[type[Event]]:
    """The kinds of events that a history must have: what features are computed from, and labels."""
    return list(dict.fromkeys([*plan.history_events, pipeline.label.event]))


async def read_topics(
    bootstrap_servers: str,
    pipeline: Pipeline,
    plan: FeaturePlan,
    between: tuple[float, float],
    pseudonyms: Pseudonyms | None = None,
    progress: Progress = lambda *_: None,
) -> KafkaHistory:
    """What a pipeline's training needs, with first <= event time < last (``between``, in seconds); see read_kafka."""
    replayable = await with_letters(bootstrap_servers, pipeline.name, progress)
    events, skew = needed_events(pipeline, plan), pipeline.future_skew_seconds
    return await read_kafka(bootstrap_servers, events, *between, skew, pseudonyms, replayable, progress)


async def with_letters(bootstrap_servers: str, pipeline: str, progress: Progress = lambda *_: None) -> set[TP]:
    """The partitions with records that became dead letters: where copies of events may lie."""
    try:
        return {letter.tp for letter in await read_letters(bootstrap_servers, pipeline, progress=progress)}
    except DeadLettersError:  # no worker has run yet
        return set()


async def _add(chunks: AsyncIterator[Chunk], decode: Decoder, out: KafkaHistory, keep: Keep) -> AsyncIterator[int]:
    """Adds a partition's events to the history; yields the offsets reached. A copy lies behind its original."""
    accepted: set[int] = set()
    async for chunk in chunks:
        batch, rejects = decode(chunk)
        out.rejected.setdefault(chunk.topic, Counter()).update(reject.reason for reject in rejects)
        accepted.update(batch.offsets.tolist())
        named = {record.offset: offset_of(chunk.tp, id) for record in chunk.records if (id := replay_of(record)) is not None}
        copies = {offset for offset, original in named.items() if original in accepted}
        if copies:
            originals = np.array([offset not in copies for offset in batch.offsets.tolist()], dtype=np.bool_)
            out.copies[chunk.topic] += int((~originals).sum())
            batch = picked(batch, originals)
        if len(kept := keep(batch)):
            out.batches.append(kept)
        yield chunk.last_offset + 1


def offset_of(tp: TP, letter_id: str) -> int | None:
    """Where the record of a dead letter lies, if in this partition.

    >>> offset_of(TP("a-b", 3), "a-b-3-17")
    17
    """
    offset = letter_id.rpartition("-")[2]
    return int(offset) if offset.isdecimal() and letter_id == record_id(*tp, int(offset)) else None
