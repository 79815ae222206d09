"""What lies on ``<pipeline>.dead-letters``, and which of the records behind it can be sent again. Sending is replaying.py's.

A source record was replayed if a later record of its partition names its letter in the header HEADER: the log itself is the
memory, so that a second replay, or one after a crash, sends nothing twice.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from streams.chunk import TP, Record
from streams.errors import DeadLettersError
from streams.outputs import PREDICTION_TOO_LARGE, TopicNames
from streams.partition_reader import read_partition
from streams.records import UNSCORED
from streams.topic_facts import TopicFacts

log = logging.getLogger(__name__)

HEADER = "tidegate-replay"  # dead_letter_id, in UTF-8
CHUNK_RECORDS = 5_000
Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


class Letter(msgspec.Struct, frozen=True):
    """A dead letter without its payload; see streams.records.DeadLetter."""

    dead_letter_id: str
    reason: str
    field: str | None
    detail: str
    topic: str
    partition: int
    offset: int
    ingest_time: float
    rejected_time: float

    @property
    def tp(self) -> TP:
        return TP(self.topic, self.partition)

    @property
    def merged(self) -> bool:
        """Whether its event counts in the features and lacks only a prediction."""
        return self.reason in UNSCORED or self.detail.startswith(PREDICTION_TOO_LARGE)


@dataclass(slots=True)
class Standing:
    """What can be done about letters: ``ready`` to be sent, by partition and offset, ``replayed`` or ``gone`` from Kafka."""

    ready: dict[TP, list[Letter]] = field(default_factory=dict)
    replayed: list[Letter] = field(default_factory=list)
    gone: list[Letter] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(map(len, self.ready.values()))


async def read_letters(
    bootstrap_servers: str, pipeline: str, reasons: Collection[str] = (), since: float = 0.0, progress: Progress = lambda *_: None
) -> list[Letter]:
    """The pipeline's dead letters with one of these reasons (none named: all) and rejected at `since` or later, oldest first.

    `since` in seconds since the epoch. Of repeated ones the first. DeadLettersError where there is no such topic.
    """
    topic, facts = TopicNames.of(pipeline).dead_letters, TopicFacts(bootstrap_servers)
    tps = facts.partitions([topic])
    if not tps:
        raise DeadLettersError(f"there is no topic {topic} yet; workers create it when they start: tidegate worker PIPELINE")
    firsts, ends = facts.firsts(tps), facts.ends(tps)
    found: dict[str, Letter] = {}
    decode = msgspec.json.Decoder(Letter).decode
    for tp in tps:
        async for chunk in read_partition(bootstrap_servers, tp, firsts[tp], ends[tp], CHUNK_RECORDS):
            for record in chunk.records:
                try:
                    letter = decode(record.value or b"")
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    log.warning("%s/%s, offset %s, is no dead letter of Tidegate's: %s", *tp, record.offset, error)
                else:
                    found.setdefault(letter.dead_letter_id, letter)
            progress(f"reading {topic}", chunk.last_offset + 1 - firsts[tp], ends[tp] - firsts[tp])
    chosen = [one for one in found.values() if (not reasons or one.reason in reasons) and one.rejected_time >= since]
    return sorted(chosen, key=lambda letter: letter.rejected_time)


def by_reason(letters: Iterable[Letter]) -> dict[str, int]:
    """How many there are of each reason, the most frequent first."""
    return dict(Counter(letter.reason for letter in letters).most_common())


async def standing(bootstrap_servers: str, letters: Sequence[Letter], progress: Progress = lambda *_: None) -> Standing:
    """Reads each source partition once, from the oldest letter's record to the end, for the records and their replays."""
    facts = TopicFacts(bootstrap_servers)
    there = facts.partitions({letter.topic for letter in letters})
    firsts, ends = facts.firsts(there), facts.ends(there)
    out = Standing()
    for tp, own in sorted(_by_partition(letters).items()):
        found: set[int] = set()
        replayed: set[str] = set()
        if tp in ends:
            wanted = {letter.offset: letter for letter in own}
            begin = max(own[0].offset, firsts[tp])
            async for chunk in read_partition(bootstrap_servers, tp, begin, ends[tp], CHUNK_RECORDS, headers=True):
                found.update(record.offset for record in chunk.records if _is(record, wanted))
                replayed.update(id for record in chunk.records if (id := replay_of(record)) is not None)
                progress(f"looking into {tp.topic}/{tp.partition}", chunk.last_offset + 1 - begin, ends[tp] - begin)
        for letter in own:
            if letter.dead_letter_id in replayed:
                out.replayed.append(letter)
            elif letter.offset in found:
                out.ready.setdefault(tp, []).append(letter)
            else:
                out.gone.append(letter)
    return out


def _by_partition(letters: Iterable[Letter]) -> dict[TP, list[Letter]]:
    out: dict[TP, list[Letter]] = {}
    for letter in sorted(letters, key=lambda letter: letter.offset):
        out.setdefault(letter.tp, []).append(letter)
    return out


def _is(record: Record, wanted: Mapping[int, Letter]) -> bool:
    """Whether it is the record of a letter: in a topic created anew another one may lie at its offset."""
    letter = wanted.get(record.offset)
    return letter is not None and letter.ingest_time == record.timestamp / 1000


def replay_of(record: Record) -> str | None:
    """The id of the dead letter that the record is a replay of, None for a record of a producer's."""
    for name, value in record.headers or ():
        if name == HEADER and value is not None:
            return value.decode(errors="replace")
    return None
