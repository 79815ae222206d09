"""Reading a stretch of a partition outside any consumer group."""

import asyncio
from collections.abc import Callable

import pytest

from streams.chunk import TP
from streams.errors import TopicError
from streams.partition_reader import read_partition
from tests.integration.odd_records import send_no_text_header

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def values(kafka: str, topic: str, headers: bool) -> list[bytes | None]:
    return [
        record.value async for chunk in read_partition(kafka, TP(topic, 0), 0, 3, 10, headers=headers) for record in chunk.records
    ]


def test_a_header_key_that_is_no_text_stops_only_who_needs_headers(kafka: str, make_topic: Callable[..., str]) -> None:
    """A backfill reads on; a replay would lose the record's headers, and names it instead."""
    topic = make_topic()
    send_no_text_header(kafka, topic, before=1, after=1)
    assert asyncio.run(values(kafka, topic, headers=False)) == [b"0", b"1", b"2"]
    with pytest.raises(TopicError, match=f"{topic}/0 offset 1 has a header key that is not UTF-8"):
        asyncio.run(values(kafka, topic, headers=True))
