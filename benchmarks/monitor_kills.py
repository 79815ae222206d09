"""kill -9 of a monitor, again and again, while rows come; then every window is held against the rows that were sent.

Some records are sent twice, as a worker that crashed between publishing and merging does.
"""

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
from benchmarks.monitor_process import MonitorProcess, drained, read_state, wait_for
from featurestore.events import Floats, Ints
from monitors.drift.profile import Profile
from monitors.drift.tally import Binner, Tally
from streams.monitor.records import FeatureDrift, WindowSummary, decode_drift, drift_topic
from streams.monitor.rows import decode_rows
from streams.monitor.state import State
from streams.outputs import TopicNames

PIECE_ROWS, PIECE_SECONDS = 120, 0.05  # 2,400 rows a second: a window every 0.4 s, so that kills fall into judging too
REPEATED_EVERY = 7  # records


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
            wait_for(lambda: drained(environment), "the monitor to read all rows")
            monitor.stop()
        except BaseException:
            monitor.kill()
            raise
        return verdict(environment, np.vstack(sending.matrices), profile)


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
