"""The oracle finds each kind of broken promise, and nothing where all were kept."""

from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from featurestore import offline
from featurestore.events import EventBatch
from streams.chunk import Chunk
from streams.codec import Decoder
from streams.outputs import TopicNames
from tests.faults.model import plan_of
from tests.faults.oracle import Oracle, States
from tests.faults.outputs import Partition
from tests.faults.pipeline import Scored
from tests.faults.sources import Raw

PLAN = plan_of()
TOPIC = "faults.scored"
EVENTS = 12
GARBAGE = 5  # the offset in each partition that holds no event


@dataclass
class Outcome:
    """What went in, what came out, and where the group stands: all as it should be until a test breaks it."""

    batches: list[EventBatch] = field(default_factory=list)
    rejects: dict[tuple[str, int, int], str] = field(default_factory=dict)
    partitions: dict[int, Partition] = field(default_factory=lambda: defaultdict(Partition))
    letters: dict[tuple[str, int, int], list[str]] = field(default_factory=dict)
    states: States = field(default_factory=dict)
    names: TopicNames = field(default_factory=lambda: TopicNames.of("faults"))

    def __post_init__(self) -> None:
        for partition in (0, 1):
            records = [record(partition, offset) for offset in range(EVENTS)]
            batch, rejects = Decoder(Scored, 300.0)(Chunk(TOPIC, partition, records))  # type: ignore[arg-type]
            self.batches.append(batch)
            for reject in rejects:
                self.rejects[TOPIC, partition, reject.record.offset] = reject.reason
                self.letters[TOPIC, partition, reject.record.offset] = [reject.reason]
            for count, (offset, event) in enumerate(zip(batch.offsets.tolist(), batch.events, strict=True)):
                self.predict(partition, offset, int(event.id[1:]), count)
        self.states = {name: dict(found) for name, found in offline.compute(PLAN, self.batches).states.items()}

    def predict(self, partition: int, offset: int, number: int, seen: float) -> None:
        found = self.partitions[partition]
        found.event[offset] = number
        found.copies[offset] += 1
        found.seen_least[offset] = found.seen_most[offset] = seen

    def oracle(self) -> Oracle:
        sources = SimpleNamespace(batches=self.batches, rejects=self.rejects)
        outputs = SimpleNamespace(partitions=self.partitions, letters=self.letters, names=self.names)
        return Oracle(PLAN, sources, outputs)  # type: ignore[arg-type]

    def verify(self, **options: Any) -> list[str]:
        return self.oracle().verify(self.states, **options)

    def audit(self, committed: int, fence: int) -> list[str]:
        places = [(TOPIC, 0), (TOPIC, 1)]
        return self.oracle().audit(dict.fromkeys(places, committed), dict.fromkeys(places, fence))


def record(partition: int, offset: int) -> Raw:
    event = Scored(f"e{partition * 100 + offset}", 1_000.0 + offset, f"p{partition}", f"card-{offset % 3}", "shop-1", "chip", 2.5)
    value = b"{}" if offset == GARBAGE else msgspec.json.encode(event)
    return Raw(b"key", value, offset, 2_000_000, 0)


@pytest.fixture
def outcome() -> Outcome:
    return Outcome()


def test_nothing_is_found_where_all_promises_were_kept(outcome: Outcome) -> None:
    assert outcome.verify() == []
    assert outcome.audit(committed=EVENTS, fence=EVENTS - 1) == []
    assert outcome.oracle().duplicates() == 0


def test_a_state_that_is_off_by_a_bit_is_found(outcome: Outcome) -> None:
    state = np.frombuffer(outcome.states["place"][b"p0"]).copy()
    state[-1] = np.nextafter(state[-1], np.inf)
    outcome.states["place"][b"p0"] = state.tobytes()
    (found,) = outcome.verify()
    assert found.startswith("group place: states")


@pytest.mark.parametrize("change", ["lost", "invented"])
def test_an_entity_too_few_or_too_many_is_found(outcome: Outcome, change: str) -> None:
    states = outcome.states["scored_by_card"]
    if change == "lost":
        states.popitem()
    else:
        states[b"nobody"] = next(iter(states.values()))
    (found,) = outcome.verify()
    assert found.startswith("group scored_by_card: states")


def test_an_event_without_a_prediction_is_found(outcome: Outcome) -> None:
    outcome.partitions[0].copies[3] = 0
    (found,) = outcome.verify()
    assert found == "accepted, but neither predicted nor a dead letter: 1, such as faults.scored-0-3"


def test_an_event_that_the_model_failed_for_has_a_dead_letter_instead(outcome: Outcome) -> None:
    partition = outcome.partitions[0]
    partition.copies[3], partition.event[3] = 0, -1
    outcome.letters[TOPIC, 0, 3] = ["scoring"]
    assert outcome.verify() == []


@pytest.mark.parametrize("letters", [[], ["future"]])
def test_a_reject_without_its_own_dead_letter_is_found(outcome: Outcome, letters: list[str]) -> None:
    del outcome.letters[TOPIC, 1, GARBAGE]
    if letters:
        outcome.letters[TOPIC, 1, GARBAGE] = letters
    (found,) = outcome.verify()
    assert f"faults.scored-1-{GARBAGE}" in found


def test_a_dead_letter_of_a_sound_event_is_found(outcome: Outcome) -> None:
    outcome.letters[TOPIC, 1, 2] = ["malformed"]
    (found,) = outcome.verify()
    assert found.startswith("dead letters that should not be")


def test_a_prediction_of_a_reject_or_of_another_event_is_found(outcome: Outcome) -> None:
    outcome.predict(0, GARBAGE, 7, 0)
    outcome.partitions[1].event[2] = 999
    (found,) = outcome.verify()
    assert found == "predictions of what is no accepted event: 2, such as faults.scored-0-5, faults.scored-1-2"


def test_two_events_under_one_id_are_found(outcome: Outcome) -> None:
    outcome.partitions[1].other_ids.append(4)
    (found,) = outcome.verify()
    assert found.startswith("one prediction_id, two events")


def test_a_vector_that_saw_its_own_event_is_found_and_one_that_missed_another(outcome: Outcome) -> None:
    outcome.partitions[0].seen_most[3] += 1
    outcome.partitions[1].seen_least[4] -= 1
    ahead, behind = outcome.verify()
    assert ahead == "vectors that saw their own event or a later offset: 1, such as faults.scored-0-3"
    assert behind == "vectors that missed an earlier event of their partition: 1, such as faults.scored-1-4"
    assert outcome.verify(exact=False) == [ahead]
    assert outcome.verify(strict_future=False) == [behind]


def test_copies_are_counted_not_judged(outcome: Outcome) -> None:
    outcome.predict(0, 0, 0, 0)
    assert outcome.verify() == []
    assert outcome.oracle().duplicates() == 1


def test_a_commit_beyond_a_fence_is_found(outcome: Outcome) -> None:
    (found,) = outcome.audit(committed=8, fence=6)
    assert found.startswith("committed beyond a fence: 2, such as faults.scored/0 committed 8, fence 6")
    assert outcome.audit(committed=7, fence=6) == []


def test_a_commit_beyond_what_was_published_is_found_and_none_before_it(outcome: Outcome) -> None:
    outcome.partitions[0].copies[8] = 0
    del outcome.letters[TOPIC, 0, GARBAGE]
    assert outcome.audit(committed=GARBAGE, fence=EVENTS) == []
    unpublished, unlettered = outcome.audit(committed=9, fence=EVENTS)
    assert unpublished.startswith("committed, but neither predicted nor a dead letter: 1, such as faults.scored-0-8")
    assert unlettered.startswith("committed, but without its dead letter: 1")


def test_nothing_sent_is_no_success() -> None:
    empty = Outcome()
    empty.batches.clear()
    assert empty.verify() == ["nothing was sent, so nothing was verified"]
