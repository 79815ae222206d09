"""The oracle for millions of events: batch by batch, so that no more is held than the states and a few bytes an event.

States are what an uninterrupted process would leave: each batch's deltas, in the order in which Kafka gives them, added up by the
kernel. On small histories they equal those of featurestore.offline (tests/faults/test_totals.py).
"""

import numpy as np

from featurestore import kernel
from featurestore.compute import deltas, group_chunk
from featurestore.events import EventBatch, Floats, contract
from featurestore.plan import FeaturePlan
from streams.chunk import Chunk
from streams.codec import Decoder
from tests.faults.oracle import States, told
from tests.faults.outputs import NONE, Column, Outputs, Partition
from tests.faults.reading import Topics
from tests.faults.sources import Place, Raw

READ_SECONDS = 1_200.0


class Totals:
    """What is in the source topics, added up; `read_on` takes in what came since."""

    def __init__(self, plan: FeaturePlan, future_skew_seconds: float) -> None:
        self._plan = plan
        self._scored = contract(plan.scored).topic
        self._decoders = {contract(event).topic: Decoder(event, future_skew_seconds) for event in plan.events}
        self._states: dict[str, dict[bytes, Floats]] = {group.name: {} for group in plan.groups}
        self.numbers: dict[int, Column] = {}  # of each scored partition: by offset, the number of the accepted event
        self.rejects: dict[tuple[str, int, int], str] = {}
        self.events = 0

    def read(self, bootstrap_servers: str) -> None:
        """Everything that the source topics hold now."""
        topics = Topics(bootstrap_servers, list(self._decoders))
        try:
            for messages in topics.read_on(READ_SECONDS):
                places: dict[Place, list[Raw]] = {}
                for one in messages:
                    kind, at = one.timestamp()
                    places.setdefault((one.topic(), one.partition()), []).append(
                        Raw(one.key(), one.value(), one.offset(), at, kind)
                    )
                for (topic, partition), records in places.items():
                    self.take(Chunk(topic, partition, records))  # type: ignore[arg-type]
        finally:
            topics.close()

    def take(self, chunk: Chunk) -> None:
        """Adds one chunk's accepted events, notes its rejects."""
        batch, rejects = self._decoders[chunk.topic](chunk)
        self.rejects |= {(chunk.topic, chunk.partition, reject.record.offset): reject.reason for reject in rejects}
        self.events += len(batch)
        if len(batch):
            self._add(batch)
            if chunk.topic == self._scored:
                self._number(batch)

    def _add(self, batch: EventBatch) -> None:
        for group in self._plan.written_by(batch.source.topic):
            chunk = group_chunk(self._plan, group, batch)
            added, held = deltas(chunk, batch.times, np.ones(len(batch), dtype=np.bool_)), self._states[group.name]
            for row in np.unique(chunk.touch.writers[chunk.touch.writers >= 0]).tolist():
                state = held.get(chunk.entities.ids[row])
                if state is None:
                    held[chunk.entities.ids[row]] = added[row].copy()
                else:
                    kernel.merge(state, added[row], group.rings, group.starts, group.ops, group.leaders)

    def _number(self, batch: EventBatch) -> None:
        column = self.numbers.setdefault(batch.source.partition, Column("q", NONE))
        for offset, event in zip(batch.offsets.tolist(), batch.events, strict=True):
            column[offset] = int(event.id[1:])

    def states(self) -> States:
        return {name: {id: state.tobytes() for id, state in held.items()} for name, held in self._states.items()}

    def verify(self, found: States, outputs: Outputs) -> list[str]:
        """States byte-equal, every accepted event predicted, one event an id, a dead letter for each reject, no seen future."""
        return [
            *self._differing(found),
            *(violation for number in self.numbers for violation in self._wrong_partition(number, outputs.partitions[number])),
            *told(
                "rejected without a dead letter, or the other way round",
                sorted(map(repr, self.rejects.keys() ^ outputs.letters.keys())),
            ),
        ]

    def _differing(self, found: States) -> list[str]:
        out = []
        for name, should in self.states().items():
            wrong = [repr(id) for id in sorted(should.keys() | found[name].keys()) if should.get(id) != found[name].get(id)]
            out += told(f"group {name}: states that are not those of an uninterrupted run (of {len(should)})", wrong)
        return out

    def _wrong_partition(self, number: int, published: Partition) -> list[str]:
        length = max(len(self.numbers[number].values), len(published.event.values))
        should, named = _as_long(self.numbers[number], length), _as_long(published.event, length)
        offsets = np.flatnonzero(should != NONE)
        least, most = (_as_long(column, length)[offsets] for column in (published.seen_least, published.seen_most))
        before = np.arange(len(offsets))
        name = f"{self._scored}-{number}-{{}}".format
        return [
            *told("accepted, but not predicted", [name(at) for at in offsets[named[offsets] == NONE]]),
            *told(
                "predictions of what is no accepted event",
                [name(at) for at in np.flatnonzero((named != NONE) & (named != should))],
            ),
            *told("one prediction_id, two events", [name(at) for at in published.other_ids]),
            *told("vectors that saw their own event or a later offset", [name(at) for at in offsets[most > before]]),
            *told("vectors that missed an earlier event", [name(at) for at in offsets[(least != NONE) & (least < before)]]),
        ]


def _as_long(column: Column, length: int) -> Floats:
    """The column's first values, NONE beyond its end."""
    values = np.array(column.values)[:length]
    return np.concatenate([values, np.full(length - len(values), NONE, dtype=values.dtype)])
