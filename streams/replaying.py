"""Sends the source records of dead letters again: to their topic and partition, with their key, value and headers."""

from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Producer

from streams.chunk import TP, Record
from streams.dead_letters import CHUNK_RECORDS, HEADER, Letter, Progress, Standing
from streams.errors import DeadLettersError
from streams.partition_reader import read_partition
from streams.small_topic import ERRORS_ONLY

GAP_RECORDS = 1_000  # records further apart than that are fetched apart
FLUSH_SECONDS = 60.0
MAX_BYTES = 100_000_000  # what a topic took from its producer it takes from us


async def replay(bootstrap_servers: str, standing: Standing, progress: Progress = lambda *_: None) -> int:
    """Sends what is ready and waits for the broker's word; how many. DeadLettersError where not all arrived.

    Each copy has the header HEADER with its letter's id, and goes to its original's partition, behind what is there.
    """
    sending = _Sending(bootstrap_servers)
    done = 0
    for tp, letters in standing.ready.items():
        for run in _runs(letters):
            wanted = {letter.offset: letter for letter in run}
            end = run[-1].offset + 1
            async for chunk in read_partition(bootstrap_servers, tp, run[0].offset, end, CHUNK_RECORDS, headers=True):
                for record in chunk.records:
                    if record.offset in wanted:
                        sending.send(tp, record, wanted[record.offset])
                        done += 1
                progress(f"sending to {tp.topic}", done, standing.count)
    sending.finish()
    return done


def _runs(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """Letters in offset order in groups without large gaps."""
    run: list[Letter] = []
    for letter in letters:
        if run and letter.offset - run[-1].offset > GAP_RECORDS:
            yield run
            run = []
        run.append(letter)
    if run:
        yield run


class _Sending:
    """A producer and what it failed to deliver."""

    def __init__(self, bootstrap_servers: str) -> None:
        settings = {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "acks": "all", "compression.type": "lz4"}
        self._producer = Producer(settings | {"message.max.bytes": MAX_BYTES, "log_level": ERRORS_ONLY})
        self._failures: list[str] = []
        self._delivered = 0

    def send(self, tp: TP, record: Record, letter: Letter) -> None:
        headers = [(name, value) for name, value in record.headers or () if name != HEADER]
        headers.append((HEADER, letter.dead_letter_id.encode()))
        while True:
            try:
                self._producer.produce(
                    tp.topic, record.value, record.key, partition=tp.partition, headers=headers, on_delivery=self._told
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def _told(self, error: Any, message: Any) -> None:
        if error is None:
            self._delivered += 1
        else:
            self._failures.append(f"{message.topic()}/{message.partition()}: {error.str()}")

    def finish(self) -> None:
        unsent = self._producer.flush(FLUSH_SECONDS)
        if unsent or self._failures:
            why = "; ".join(dict.fromkeys(self._failures[:3])) or f"Kafka did not answer in {FLUSH_SECONDS:.0f} s"
            raise DeadLettersError(
                f"{self._delivered:,} records were sent, {unsent + len(self._failures):,} were not ({why}); run the same command "
                f"again, it leaves out what was sent"
            )
