"""Reads ``<pipeline>.drift`` on a thread of its own, from its first record on, once the monitor has made it."""

import threading

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from streams.demo.findings import Findings, Reading
from streams.monitor.records import decode_drift, drift_topic

BATCH = 500  # records: 15 windows of 30 features
WAIT_SECONDS = 0.25
TIMEOUT_SECONDS = 10.0
MS = 1000.0


class DriftReader:
    """``found``: what the monitor has said."""

    def __init__(self, bootstrap_servers: str, pipeline: str) -> None:
        self.failure: BaseException | None = None
        self._topic, self._reading = drift_topic(pipeline), Reading()
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "tidegate-demo-drift",  # never joined: partitions are assigned by hand, nothing is committed
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)

    @property
    def found(self) -> Findings:
        return self._reading.found

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Reads on until nothing more comes, then ends."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_SECONDS)
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._assigned():
                if self._stop.wait(WAIT_SECONDS):
                    return
            while True:
                messages = self._consumer.consume(BATCH, WAIT_SECONDS)
                for message in messages:
                    self._take(message)
                if self._stop.is_set() and not messages:  # what is there already is still told
                    return
        except BaseException as error:  # told by the main thread, which looks
            self.failure = error

    def _assigned(self) -> bool:
        """Whether the topic is there; asked without naming it, because naming may create it."""
        found = self._consumer.list_topics(timeout=TIMEOUT_SECONDS).topics.get(self._topic)
        if found is None or not found.partitions:
            return False
        self._consumer.assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in found.partitions])
        return True

    def _take(self, message: Message) -> None:
        if message.error():
            return
        try:
            record = decode_drift(message.value() or b"")
        except msgspec.DecodeError:  # not the monitor's
            return
        self._reading.take(record, message.timestamp()[1] / MS)
