"""Before anything is timed: do the contenders predict the same?

All events of the sample lie in one partition, because how partitions interleave is nobody's promise and changes what a merchant's
windows hold. Then scores must be equal to the last bit, however each cuts its chunks. A slow contender is
compared on its own share of the sample, from its first event on.
"""

from collections.abc import Mapping, Sequence

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.contenders import Contender
from benchmarks.drain import PREDICTIONS, Ends, drain
from benchmarks.workload import PARTITIONS, Workload
from examples.payments.generate import Stream
from streams.records import Prediction

SAMPLE = Stream(20_000, rate=200.0, seed=3)
READ_SECONDS = 30.0


Predictions = Mapping[str, tuple[object, ...]]  # by event id


def check_agreement(workload: Workload, contenders: Sequence[Contender]) -> int:
    """How many predictions were compared with each contender; RuntimeError where one's differ from the first one's.

    The least of them: a slow contender is compared on fewer.
    """
    workload.fill(SAMPLE, partition=0)
    found = {contender.name: _predictions(workload, contender) for contender in contenders}
    workload.empty()
    ours = found[contenders[0].name]
    shares = [contender.share(SAMPLE.events) for contender in contenders]
    for contender, share in zip(contenders, shares, strict=True):
        compare(contender.name, ours, found[contender.name], share)
    return min(shares)


def compare(name: str, ours: Predictions, theirs: Predictions, share: int) -> None:
    """RuntimeError unless the first `share` of our predictions are theirs, too; they may have gone further."""
    differing = [id for id, one in list(ours.items())[:share] if theirs.get(id) != one]
    unknown = theirs.keys() - ours.keys()
    if differing or unknown or len(ours) < share:
        problem = f"{len(differing)} of {share} predictions differ from the worker's, and {len(unknown)} are of no event"
        raise RuntimeError(f"{name}: {problem}: {[*differing, *unknown][:3]}")


def _predictions(workload: Workload, contender: Contender) -> Predictions:
    """What it published, in the order of offsets of the source."""
    ends = Ends(workload.stack.bootstrap_servers)
    before = ends.each()
    drain(workload, contender, SAMPLE.events, lambda *_: None)
    after = ends.each()
    ends.close()
    read = _read(workload.stack.bootstrap_servers, before, after)
    return {one.event_id: _what_counts(one) for one in sorted(read, key=_offset)}


def _offset(one: Prediction) -> int:
    return int(one.prediction_id.rpartition("-")[2])


def _what_counts(one: Prediction) -> tuple[object, ...]:
    """Everything but the clock and the build."""
    return (one.prediction_id, one.key, one.event_time, one.schema, one.model_hash, one.score, one.decision, *one.flags)


def _read(bootstrap_servers: str, before: list[int], after: list[int]) -> list[Prediction]:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "benchmark", "enable.auto.commit": False})
    consumer.assign([TopicPartition(PREDICTIONS, partition, before[partition]) for partition in range(PARTITIONS)])
    found: list[Prediction] = []
    decode, wanted = msgspec.json.Decoder(Prediction).decode, sum(after) - sum(before)
    while len(found) < wanted:
        messages = consumer.consume(min(10_000, wanted - len(found)), timeout=READ_SECONDS)
        if not messages:
            raise RuntimeError(f"only {len(found)} of {wanted} predictions could be read")
        found += [decode(message.value()) for message in messages]
    consumer.close()
    return found
