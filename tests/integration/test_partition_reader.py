"""Reading a stretch of a partition outside any consumer group."""

import asyncio
from collections.abc import Callable

import pytest

from streams.chunk import TP
from streams.errors import TopicError
from streams.partition_reader import read_partition
from tests.integration.odd_records import send_no_text_header

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


BEFORE = 200  # so many that Python calls by a quicker way, which takes the client's word that nothing went wrong


async def values(kafka: str, topic: str, headers: bool) -> list[bytes | None]:
    chunks = read_partition(kafka, TP(topic, 0), 0, BEFORE + 2, 1_000, headers=headers)
    return [record.value async for chunk in chunks for record in chunk.records]


def test_a_header_key_that_is_no_text_stops_only_who_needs_headers(kafka: str, make_topic: Callable[..., str]) -> None:
    """A backfill reads on; a replay would lose the record's headers, and names it instead."""
    topic = make_topic()
    send_no_text_header(kafka, topic, before=BEFORE, after=1)
    assert asyncio.run(values(kafka, topic, headers=False)) == [b"%d" % number for number in range(BEFORE + 2)]
    with pytest.raises(TopicError, match=f"{topic}/0 offset {BEFORE} has a header key that is not UTF-8"):
        asyncio.run(values(kafka, topic, headers=True))
