"""kill -9 of a monitor, again and again, while rows come; then every window is held against the rows that were sent.

Some records are sent twice, as a worker that crashed between publishing and merging does.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from benchmarks.gauge_feed import Feed
from benchmarks.gauges import pipeline
from benchmarks.monitored import COMMAND
from featurestore.checkpoints import Checkpoint
from featurestore.events import Floats, Ints
from monitors.drift.profile import Profile
from monitors.drift.tally import Binner, Tally
from streams.monitor.records import FeatureDrift, WindowSummary, decode_drift, drift_topic
from streams.monitor.rows import decode_rows
from streams.monitor.state import STATE, State, decode_state
from streams.outputs import TopicNames

AT_WORK = ": at work;"
WAIT_SECONDS = 60.0
SESSION_SECONDS = 6.0
PIECE_ROWS, PIECE_SECONDS = 120, 0.05  # 2,400 rows a second: a window every 0.4 s, so that kills fall into judging too
REPEATED_EVERY = 7  # records


class MonitorProcess:
    """`tidegate monitor` on the gauges; what it says goes to a file."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as out:
            self._began = out.tell()
            command = [*COMMAND, "--web-port", "0", "--session-timeout", str(SESSION_SECONDS)]
            self._process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out)

    def said(self) -> str:
        return self._log.read_bytes()[self._began :].decode(errors="replace")

    def wait_until_at_work(self) -> None:
        wait_for(lambda: AT_WORK in self.said() or self._ended(), "the monitor to be at work")

    def _ended(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the monitor ended by itself: {self.said()}")
        return False

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def wait_for(condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


class Sending(threading.Thread):
    """Sends rows until it is stopped, and some records again; keeps what every gauge read, to be counted in the end."""

    def __init__(self, bootstrap_servers: str, partitions: int) -> None:
        super().__init__(daemon=True)
        self.feed = Feed(bootstrap_servers, partitions, rows_a_record=PIECE_ROWS)
        self.matrices: list[Floats] = []
        self._producer = Producer({"bootstrap.servers": bootstrap_servers})
        self._ending, self._partitions = threading.Event(), partitions

    def run(self) -> None:
        number = 0
        while not self._ending.wait(PIECE_SECONDS):
            for value in self.feed.values(PIECE_ROWS):
                self.matrices.append(decode_rows(value).matrix)
                for again in range(2 if number % REPEATED_EVERY == 0 else 1):
                    topic = TopicNames.of(pipeline.name).features
                    self._producer.produce(topic, value=value, partition=(number + again) % self._partitions)
                number += 1
            self._producer.poll(0)

    def finish(self) -> None:
        self._ending.set()
        self.join()
        if self._producer.flush(30):
            raise RuntimeError("Kafka did not take the rows")


@dataclass(slots=True)
class Verdict:
    """What the topic holds, against what was sent. `wrong` says of each thing that does not add up what it is."""

    windows: int = 0
    rows: int = 0
    records: int = 0
    wrong: list[str] = field(default_factory=list)


def run(
    environment: dict[str, str], profile: Profile, kills: int, seed: int, progress: Callable[[int], None] = lambda _: None
) -> Verdict:
    """Kills the monitor so often, each time a random moment after it was at work; the monitored stack is deployed on."""
    random = np.random.default_rng(seed)
    servers = environment["KAFKA_BOOTSTRAP_SERVERS"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "monitor.log"
        sending = Sending(servers, 4)
        sending.start()
        monitor = MonitorProcess(environment, log)
        try:
            for number in range(kills):
                monitor.wait_until_at_work()
                time.sleep(random.uniform(0.05, 1.5))
                monitor.kill()
                progress(number + 1)
                monitor = MonitorProcess(environment, log)
            monitor.wait_until_at_work()
            sending.finish()
            wait_for(lambda: _drained(environment), "the monitor to read all rows")
            monitor.stop()
        except BaseException:
            monitor.kill()
            raise
        return verdict(environment, np.vstack(sending.matrices), profile)


def read_state(environment: dict[str, str]) -> State:
    """The monitor's own checkpoint."""

    async def read() -> State:
        checkpoint = Checkpoint(environment["REDIS_URL"], f"monitor:{pipeline.name}")
        try:
            fields = await checkpoint.read()
        finally:
            await checkpoint.close()
        return decode_state(fields[STATE]) if STATE in fields else State()

    return asyncio.run(read())


def _drained(environment: dict[str, str]) -> bool:
    consumer = Consumer({"bootstrap.servers": environment["KAFKA_BOOTSTRAP_SERVERS"], "group.id": "kills"})
    try:
        topic, state = TopicNames.of(pipeline.name).features, read_state(environment)
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(4)}
    finally:
        consumer.close()
    return not state.outbox and all(state.offsets.get(f"{topic}/{p}") == end for p, end in ends.items())


def drift_records(bootstrap_servers: str) -> list[FeatureDrift | WindowSummary]:
    """Every record of the gauges' drift topic, repetitions too."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "kills"})
    try:
        topic = TopicPartition(drift_topic(pipeline.name), 0, OFFSET_BEGINNING)
        end = consumer.get_watermark_offsets(topic, timeout=10)[1]
        consumer.assign([topic])
        found = []
        while consumer.position([topic])[0].offset < end:
            found += [decode_drift(m.value()) for m in consumer.consume(1000, timeout=0.5) if not m.error()]
    finally:
        consumer.close()
    return [record for record in found if isinstance(record, FeatureDrift | WindowSummary)]


def verdict(environment: dict[str, str], sent: Floats, profile: Profile) -> Verdict:
    """Every row sent must be in one window, every window complete and there once."""
    state, records = read_state(environment), drift_records(environment["KAFKA_BOOTSTRAP_SERVERS"])
    found = Verdict(rows=len(sent), records=len(records))
    ids = Counter(record.drift_id for record in records)
    found.wrong += [f"{id} is there {n} times" for id, n in ids.items() if n > 1]
    distinct = {record.drift_id: record for record in records}.values()
    summaries = {record.window: record for record in distinct if isinstance(record, WindowSummary)}
    features = Counter(record.window for record in distinct if isinstance(record, FeatureDrift))
    found.windows = len(summaries)
    wanted = len(profile.features)
    found.wrong += [f"{w} has {features[w]} of {wanted} features" for w in summaries if features[w] != wanted]
    found.wrong += [f"{w} has features and no summary" for w in features.keys() - summaries.keys()]
    told = counted(profile, [record for record in distinct if isinstance(record, FeatureDrift)], state)
    truth = Tally.empty(profile)
    Binner(profile).add(truth, sent)
    found.wrong += [
        f"{name}: {int(mine.sum())} rows counted of {int(theirs.sum())}, or in other bins"
        for name, mine, theirs in zip(profile.names, told, truth.bins, strict=True)
        if not np.array_equal(mine, theirs)
    ]
    return found


def counted(profile: Profile, records: list[FeatureDrift], state: State) -> Ints:
    """Rows in each bin of each feature (F, W): of all windows together, the one that is still open too."""
    places = {feature.name: (place, feature.labels) for place, feature in enumerate(profile.features)}
    out = np.zeros((len(places), profile.width), dtype=np.int64)
    for record in records:  # bins without a row on either side are left out of records
        place, labels = places[record.feature]
        out[place, [labels.index(label) for label in record.bins]] += np.array(record.counts)
    for window in state.windows:
        if window.counts.tally is not None:
            out += Tally.from_bytes(window.counts.tally).bins
    return out
