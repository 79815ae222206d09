"""The served vectors of a stretch of event time, as ``<pipeline>.features`` has them; of an event, the first one read counts."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from featurestore.events import Bools, Floats, Ints
from streams.errors import SkewUnknown
from streams.outputs import TopicNames
from streams.partition_reader import read_partition
from streams.topic_facts import TopicFacts
from streams.vectors import decode_vectors

CHUNK_RECORDS = 50  # of up to half a megabyte each
DEGRADED, OTHER_FEATURES = "served without Redis", "served with other features"


@dataclass(frozen=True, slots=True)
class ServedVectors:
    """``places`` int64 (n,), ascending (see place_of); ``vectors`` float64 (n, features); ``left_out`` counts by reason."""

    places: Ints
    vectors: Floats
    left_out: Counter[str]


def place_of(partitions: Ints, offsets: Ints) -> Ints:
    """One number for each partition and offset of a topic, int64 (n,): room for 32,768 partitions of 2^48 records."""
    return (partitions.astype(np.int64) << 48) + offsets


async def newest_served(bootstrap_servers: str, pipeline: str) -> float:
    """The newest event time in the last record of any partition, in seconds; SkewUnknown where nothing was served."""
    topic, facts = TopicNames.of(pipeline).features, TopicFacts(bootstrap_servers)
    firsts, newest = facts.firsts(tps := facts.partitions([topic])), []
    for tp, end in facts.ends(tps).items():
        async for chunk in read_partition(bootstrap_servers, tp, max(firsts[tp], end - 1), end, 1):
            newest += [_column(decode_vectors(record.value or b""), "event_time").max() for record in chunk.records]
    if not newest:
        raise SkewUnknown(f"{topic} holds no vectors: start a worker, send events, and ask again")
    return float(max(newest))


async def read_served(
    bootstrap_servers: str,
    pipeline: str,
    fingerprint: str,
    between: tuple[float, float],
    future_skew_seconds: float,
    wanted: Ints,
) -> ServedVectors:
    """The vectors with first <= event time <= last (``between``, seconds) of the events at the places `wanted`.

    `fingerprint` is of the features they must have been served with. A vector is published after its event, whose time is at most
    `future_skew_seconds` past that moment: what was published earlier than that before the stretch is not read.
    """
    facts, left_out = TopicFacts(bootstrap_servers), Counter[str]()
    tps = facts.partitions([TopicNames.of(pipeline).features])
    ends, begins = facts.ends(tps), facts.since(tps, between[0] - future_skew_seconds)
    places, vectors = [np.empty(0, dtype=np.int64)], []
    for tp in tps:
        async for chunk in read_partition(bootstrap_servers, tp, begins[tp], ends[tp], CHUNK_RECORDS):
            for record in chunk.records:
                batch = decode_vectors(record.value or b"")
                rows = _rows(batch, between, wanted)
                if not rows.any():
                    continue
                if why := _unusable(batch, fingerprint):
                    left_out[why] += int(rows.sum())
                else:
                    places.append(_places(batch)[rows])
                    vectors.append(batch["vector"].flatten().to_numpy().reshape(len(batch), -1)[rows])
    ids, firsts = np.unique(np.concatenate(places), return_index=True)
    return ServedVectors(ids, np.concatenate(vectors)[firsts] if vectors else np.empty((0, 0)), left_out)


def _rows(batch: pa.RecordBatch, between: tuple[float, float], wanted: Ints) -> Bools:
    """Which rows are of the stretch and of a wanted event."""
    times = _column(batch, "event_time")
    return np.asarray((times >= between[0]) & (times <= between[1]) & np.isin(_places(batch), wanted))


def _unusable(batch: pa.RecordBatch, fingerprint: str) -> str | None:
    """Why the batch cannot be compared, all of it; None where it can be."""
    if batch.schema.metadata[b"tidegate.fingerprint"].decode() != fingerprint:
        return OTHER_FEATURES
    return DEGRADED if batch["degraded"][0].as_py() else None  # a batch is all degraded or none of it


def _places(batch: pa.RecordBatch) -> Ints:
    return place_of(_column(batch, "source_partition"), _column(batch, "source_offset"))


def _column(batch: pa.RecordBatch, name: str) -> Any:
    return batch[name].to_numpy(zero_copy_only=False)
