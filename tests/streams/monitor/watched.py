"""A monitor's counting without Kafka or Redis: partitions are lists of records, the checkpoint is a dictionary."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from benchmarks.gauge_feed import PLAN, START, gauges
from benchmarks.gauges import pipeline
from monitors.drift.profile import Profile
from monitors.drift.reference import build_profile
from monitors.drift.tally import Binner
from monitors.monitor_metrics import MonitorMetrics
from scorer.monitoring import Monitoring
from streams.chunk import TP, Chunk
from streams.monitor.records import DriftRecord, decode_drift
from streams.monitor.references import Reference, References
from streams.monitor.state import Entry
from streams.monitor.watching import Watching
from streams.outputs import TopicNames
from streams.testing import LoggedRecord

LOGGED = START + 365 * 86_400.0  # the broker's clock: what was logged lies behind it, as in a replay
NAMES = TopicNames.of(pipeline.name)


@cache
def profile(rows: int) -> Profile:
    random = np.random.default_rng(1)
    matrix = gauges(random, rows)
    scores = 1 / (1 + np.exp(-matrix[:, 0]))
    said = np.column_stack([scores, scores >= 0.5, np.maximum(scores, 1 - scores)])
    times = START - 10.0 * np.arange(rows, 0, -1, dtype=np.float64)
    return build_profile(matrix, times, PLAN.schema.names, ["number"] * 30, said)


class Known(References):
    """References that are there already."""

    def __init__(self, versions: Sequence[int], rows: int) -> None:
        made = profile(rows)
        self.found = {v: Reference("gauges", v, made.id, made, Binner(made)) for v in versions}
        self.why: dict[int, str] = {}

    async def ensure(self, version: int) -> None:
        if version not in self.found:
            self.found[version], self.why[version] = None, "no reference in this test"


@dataclass
class Watched:
    """A topic in partitions, and who counts it. `crash` forgets what is not in the checkpoint."""

    partitions: int = 1
    monitoring: Monitoring = field(default_factory=lambda: Monitoring(window=500, minimum_events=100))
    versions: Sequence[int] = (1,)
    rows: int = 20_000  # of the reference
    logs: dict[TP, list[LoggedRecord]] = field(default_factory=dict)
    published: list[Entry] = field(default_factory=list)
    fields: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs = {TP(NAMES.features, p): [] for p in range(self.partitions)} | {TP(NAMES.dead_letters, 0): []}
        self.crash()

    def crash(self) -> None:
        """The next owner begins where the checkpoint is."""
        self.metrics = MonitorMetrics(pipeline.name, [])
        declared = replace(pipeline, monitoring=self.monitoring)
        self.watching = Watching(declared, PLAN, Known(self.versions, self.rows), self.metrics, self.fields)
        positions = {tp: self.watching.position(tp, None) or 0 for tp in self.logs}
        asyncio.run(self.watching.begin(positions))
        self.positions = positions
        self.publish()

    def log(self, value: bytes, partition: int = 0, topic: str = NAMES.features) -> None:
        log = self.logs[TP(topic, partition)]
        log.append(LoggedRecord(None, value, len(log), int((LOGGED + len(log)) * 1000), ()))

    def take(self, tp: TP, records: int) -> None:
        """Counts the partition's next records as one chunk."""
        first = self.positions[tp]
        found = self.logs[tp][first : first + records]
        if found:
            asyncio.run(self.watching.take(Chunk(tp.topic, tp.partition, list(found)), self._caught_up))
            self.positions[tp] = first + len(found)

    def drain(self, records: int = 7) -> None:
        while any(self.positions[tp] < len(log) for tp, log in self.logs.items()):
            for tp in self.logs:
                self.take(tp, records)

    def checkpoint(self) -> None:
        changed = self.watching.fields()
        self.fields = {k: v for k, v in {**self.fields, **changed}.items() if v}

    def publish(self) -> None:
        """What the owner does with the outbox: checkpoint, publish (an id once), note it."""
        self.checkpoint()
        entries = list(self.watching.state.outbox)
        there = {entry.id for entry in self.published}
        self.published += [entry for entry in entries if entry.id not in there]
        self.watching.delivered(len(entries))

    def records(self) -> list[DriftRecord]:
        return [decode_drift(entry.value) for entry in self.published]

    def _caught_up(self, tp: TP, position: int) -> bool:
        return position >= len(self.logs[tp])
