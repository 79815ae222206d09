"""Small topics are read to the end that they have, and no longer: a worker's start waits for it."""

import pytest
from confluent_kafka import TopicPartition

from streams import small_topic
from streams.errors import DeploymentsError


class Message:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return str(self._offset).encode()


class Consumer:
    """Holds so many records. Waiting, as librdkafka would for more than there are, fails at once."""

    def __init__(self, *_: object, records: int = 3, **__: object) -> None:
        self.records, self.next, self.closed = records, 0, False

    def get_watermark_offsets(self, *_: object, **__: object) -> tuple[int, int]:
        return 0, self.records

    def assign(self, _: object) -> None: ...

    def position(self, _: object) -> list[TopicPartition]:
        return [TopicPartition("small", 0, self.next or -1001)]  # unknown before the first record

    def poll(self, _: float) -> Message:
        return self.consume(1, 0.0)[0]

    def consume(self, count: int, _: float) -> list[Message]:
        assert self.next + count <= self.records, "waits for records that do not come"
        self.next += count
        return [Message(offset) for offset in range(self.next - count, self.next)]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("records", [0, 1, 3])
def test_all_records_are_read_and_none_is_waited_for(records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Consumer.consume(1000, 1.0)` waits the whole second where there are fewer."""
    consumer = Consumer(records=records)
    monkeypatch.setattr(small_topic, "Consumer", lambda *_, **__: consumer)
    found = small_topic.read_all("nowhere:1", "small", int, ValueError, DeploymentsError)
    assert (found, consumer.closed) == (list(range(records)), True)
