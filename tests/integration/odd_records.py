"""Records that a well-behaved producer does not write: header keys that are no text, transactions and their markers."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBase
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as PythonBuilder
from confluent_kafka import Producer


class NoText(str):
    """A header key that goes out as bytes that are not UTF-8."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


def send_no_text_header(kafka: str, topic: str, *, before: int, after: int, codec: str | None = None) -> None:
    """One batch in partition 0: `before` plain records, one with such a header, `after` plain ones."""

    async def scenario() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec)
        await producer.start()
        try:
            batch = producer.create_batch()
            codecs = {None: 0, "lz4": DefaultRecordBase.CODEC_LZ4}
            batch._builder = PythonBuilder(2, codecs[codec], 0, -1, -1, -1, 1_000_000)  # the compiled one takes only true texts
            for number in range(before + 1 + after):
                headers = [(NoText("key"), b"value")] if number == before else [("traceparent", b"00-aa")]
                assert batch.append(key=None, value=b"%d" % number, timestamp=None, headers=headers)
            batch.close()
            await (await producer.send_batch(batch, topic, partition=0))
        finally:
            await producer.stop()

    asyncio.run(scenario())


def send_transaction(kafka: str, topic: str, values: list[bytes], *, abort: bool = False) -> None:
    """Records of one transaction in partition 0; the broker adds a marker, which takes an offset."""
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    if abort:
        producer.flush(30)
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)
