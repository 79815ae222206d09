"""Before anything is timed: do the contenders predict the same?

All events of the sample lie in one partition, because how partitions interleave is nobody's promise and changes what a merchant's
windows hold. Then scores must be equal to the last bit, however each cuts its chunks.
"""

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.drain import PREDICTIONS, Ends, drain
from benchmarks.workload import PARTITIONS, Workload
from examples.payments.generate import Stream
from streams.records import Prediction

SAMPLE = Stream(20_000, rate=200.0, seed=3)
READ_SECONDS = 30.0


def check_agreement(workload: Workload) -> int:
    """The number of predictions compared; RuntimeError where a contender's differ from the first one's."""
    workload.fill(SAMPLE, partition=0)
    found = {contender.name: _predictions(workload, contender) for contender in CONTENDERS}
    ours = found[CONTENDERS[0].name]
    for name, theirs in found.items():
        differing = [id for id, one in ours.items() if theirs.get(id) != one]
        if differing or len(theirs) != len(ours):
            raise RuntimeError(f"{name}: {len(differing)} of {len(ours)} predictions differ from the worker's: {differing[:3]}")
    workload.empty()
    return len(ours)


def _predictions(workload: Workload, contender: Contender) -> dict[str, tuple[object, ...]]:
    ends = Ends(workload.stack.bootstrap_servers)
    before = ends.each()
    drain(workload, contender, SAMPLE.events, lambda *_: None)
    after = ends.each()
    ends.close()
    return {one.event_id: _what_counts(one) for one in _read(workload.stack.bootstrap_servers, before, after)}


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
