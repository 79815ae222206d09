"""What a worker says when the feature store lacks events that were committed."""

import logging

import pytest

from streams.chunk import TP
from streams.errors import RecordsGone
from streams.worker import checked_start

PLACE = TP("sales", 3)


def test_how_many_records_are_merged_again_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "streams.worker"):
        assert checked_start(PLACE, 1_000, 0, 51_000) == 1_000
    assert "sales/3: the feature store lacks the 50,000 records from 1000 to the committed 51000" in caplog.text
    assert "tidegate backfill" in caplog.text


def test_records_that_kafka_lost_name_the_command_that_mends_it() -> None:
    with pytest.raises(RecordsGone, match=r"sales/3 from offset 0 .* only those from 500.*tidegate backfill"):
        checked_start(PLACE, 0, 500, 900)
