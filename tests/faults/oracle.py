"""The promises as questions: to a stack at any moment (`audit`), and to one whose workers have read everything (`verify`).

What should be is computed by an uninterrupted single process (featurestore.offline) over what Kafka holds, accepted by the
decoder that workers use. Every answer is a list of violations in words; an empty one means that the promises held.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from featurestore import offline
from featurestore.events import EventBatch, contract
from featurestore.plan import FeaturePlan
from tests.faults.outputs import NONE, Outputs, Partition
from tests.faults.sources import Place, Sources

SHOWN = 5  # of each kind
AFTER_ALL = frozenset({"scoring", "refused", "oversize"})  # dead letters of accepted events, which stand in a prediction's place

States = dict[str, dict[bytes, bytes]]


def told(kind: str, found: list[str]) -> list[str]:
    """Violations of one kind as one or no sentence."""
    return [f"{kind}: {len(found)}, such as {', '.join(found[:SHOWN])}"] if found else []


class Oracle:
    """Judges one stack's outcome."""

    def __init__(self, plan: FeaturePlan, sources: Sources, outputs: Outputs) -> None:
        self._plan, self._sources, self._outputs = plan, sources, outputs
        self._scored = contract(plan.scored).topic
        self._unaudited: list[EventBatch] = []
        self._taken = 0
        self._audited_rejects: set[tuple[str, int, int]] = set()
        self._forgotten: dict[str, Mapping[Place, int]] = {}

    def forget(self, topic: str, ends: Mapping[Place, int]) -> None:
        """Somebody deleted an output topic: whether it answered what lay before these ends, nobody can say any more."""
        self._forgotten[topic] = ends

    def _unforgotten(self, topic: str, place: Place) -> int:
        """The first offset of a source partition that an output topic has to answer."""
        return self._forgotten.get(topic, {}).get(place, 0)

    def _rejects(self) -> set[tuple[str, int, int]]:
        """Those that must have a dead letter."""
        letters, rejects = self._outputs.names.dead_letters, self._sources.rejects
        if letters not in self._forgotten:
            return set(rejects)
        return {place for place in rejects if place[2] >= self._unforgotten(letters, place[:2])}

    def audit(self, committed: Mapping[Place, int], least_fences: Mapping[Place, int] | None) -> list[str]:
        """Nothing below a committed offset is unpublished or unmerged. `committed` sampled first, then the fences, then the rest.

        ``least_fences``: each partition's lowest fence over all shards of all groups that its topic feeds; None: not asked.
        """
        fences = least_fences or {}
        unmerged = [
            f"{t}/{p} committed {at}, fence {fences[t, p]}"
            for (t, p), at in committed.items()
            if (t, p) in fences and fences[t, p] < at - 1
        ]
        self._unaudited += self._sources.batches[self._taken :]
        self._taken = len(self._sources.batches)
        unpublished = [name for batch in self._unaudited for name in self._unanswered(batch, committed[batch.source])]
        self._unaudited = [batch for batch in self._unaudited if batch.offsets[-1] >= committed[batch.source]]
        open_rejects = self._rejects() - self._audited_rejects
        below = {place for place in open_rejects if place[2] < committed[place[0], place[1]]}
        unlettered = ["{}-{}-{}".format(*place) for place in sorted(below - self._outputs.letters.keys())]
        self._audited_rejects |= below
        return [
            *told("committed beyond a fence", unmerged),
            *told("committed, but neither predicted nor a dead letter", unpublished),
            *told("committed, but without its dead letter", unlettered),
        ]

    def _unanswered(self, batch: EventBatch, before: float = np.inf) -> Iterator[str]:
        """Scored events below an offset that have no prediction, nor a dead letter instead."""
        topic, number = batch.source
        if topic != self._scored:
            return
        copies, first = self._outputs.partitions[number].copies, self._unforgotten(self._outputs.names.predictions, batch.source)
        for offset in batch.offsets[(batch.offsets >= first) & (batch.offsets < before)].tolist():
            if not copies[offset] and not AFTER_ALL.intersection(self._outputs.letters.get((topic, number, offset), ())):
                yield f"{topic}-{number}-{offset}"

    def verify(self, states: States, *, strict_future: bool = True, exact: bool = True) -> list[str]:
        """Everything that is promised of a stack at rest; ``strict_future`` and ``exact`` judge the witness' counts."""
        if not self._sources.batches:
            return ["nothing was sent, so nothing was verified"]
        answered = [name for batch in self._sources.batches for name in self._unanswered(batch)]
        return [
            *self._differing_states(states),
            *told("accepted, but neither predicted nor a dead letter", answered),
            *self._wrong_letters(),
            *self._wrong_predictions(),
            *self._wrong_witness(strict_future, exact),
        ]

    def _differing_states(self, states: States) -> list[str]:
        expected = offline.compute(self._plan, self._sources.batches).states
        out = []
        for group in self._plan.groups:
            should, found = expected[group.name], states[group.name]
            wrong = [repr(id) for id in sorted(should.keys() | found.keys()) if should.get(id) != found.get(id)]
            out += told(f"group {group.name}: states that are not those of an uninterrupted run (of {len(should)})", wrong)
        return out

    def _wrong_letters(self) -> list[str]:
        rejects, letters = self._sources.rejects, self._outputs.letters
        name = "{}-{}-{}".format
        missing = [name(*place) for place in sorted(self._rejects() - letters.keys())]
        wrong = [name(*place) for place, reasons in letters.items() if not self._sound(rejects.get(place), set(reasons))]
        return told("rejected, but without a dead letter", missing) + told(
            "dead letters that should not be, or say another reason", wrong
        )

    def _sound(self, expected: str | None, reasons: set[str]) -> bool:
        return reasons == {expected} if expected is not None else reasons <= AFTER_ALL

    def _wrong_predictions(self) -> list[str]:
        unasked, other = [], []
        for number, partition in self._outputs.partitions.items():
            offsets, numbers = self._accepted(number)
            named = np.array(partition.event.values, dtype=np.int64)
            should = np.full(max(len(named), int(offsets.max(initial=-1)) + 1), NONE)
            should[offsets] = numbers
            places = np.flatnonzero((named != NONE) & (named != should[: len(named)]))
            unasked += [f"{self._scored}-{number}-{offset}" for offset in places.tolist()]
            other += [f"{self._scored}-{number}-{offset}" for offset in partition.other_ids]
        return told("predictions of what is no accepted event", unasked) + told("one prediction_id, two events", other)

    def _accepted(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The accepted scored events of a partition: offsets in order, and their numbers."""
        batches = [batch for batch in self._sources.batches if batch.source == (self._scored, number)]
        offsets = [offset for batch in batches for offset in batch.offsets.tolist()]
        numbers = [int(event.id[1:]) for batch in batches for event in batch.events]
        return np.array(offsets, dtype=np.int64), np.array(numbers, dtype=np.int64)

    def _wrong_witness(self, strict_future: bool, exact: bool) -> list[str]:
        """A vector has seen exactly the events of its partition with lower offsets: one more is the future, one fewer a gap."""
        ahead, behind = [], []
        for number, partition in self._outputs.partitions.items():
            offsets, _ = self._accepted(number)
            least, most = (_seen(partition, side, offsets) for side in ("seen_least", "seen_most"))
            before = np.arange(len(offsets))
            ahead += [f"{self._scored}-{number}-{offset}" for offset in offsets[most > before].tolist()]
            behind += [f"{self._scored}-{number}-{offset}" for offset in offsets[(least != NONE) & (least < before)].tolist()]
        return [
            *told("vectors that saw their own event or a later offset", ahead if strict_future else []),
            *told("vectors that missed an earlier event of their partition", behind if exact else []),
        ]

    def duplicates(self) -> int:
        """Predictions beyond the first of their event."""
        return sum(max(0, count - 1) for partition in self._outputs.partitions.values() for count in partition.copies.values)


def _seen(partition: Partition, side: str, offsets: np.ndarray) -> np.ndarray:
    """The witness' counts for these offsets, NONE where no vector was served."""
    values = np.array(getattr(partition, side).values)
    out = np.full(len(offsets), float(NONE))
    known = offsets < len(values)
    out[known] = values[offsets[known]]
    return out
