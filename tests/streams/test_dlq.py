"""What `tidegate dlq` says, and which letters it leaves alone."""

import pytest

from streams.chunk import TP
from streams.cli.dlq import Since, question, told
from streams.dead_letters import HEADER, Letter, Standing, by_reason, replay_of
from streams.outputs import PREDICTION_TOO_LARGE
from streams.replaying import GAP_RECORDS, _runs
from tests.streams.records import RawRecord


def letter(offset: int = 0, reason: str = "contract", detail: str = "") -> Letter:
    return Letter(f"sales-0-{offset}", reason, None, detail, "sales", 0, offset, 1.0, 2.0)


@pytest.mark.parametrize(
    ("reason", "detail", "merged"),
    [
        ("contract", "Expected `str`", False),
        ("oversize", "an event id of more than 1024 characters", False),
        ("oversize", f"{PREDICTION_TOO_LARGE} 2000 bytes is more than predictions takes", True),
        ("scoring", "model version 1 raised ValueError", True),
        ("refused", "", True),
    ],
)
def test_events_that_count_already_are_known(reason: str, detail: str, merged: bool) -> None:
    assert letter(reason=reason, detail=detail).merged is merged


def test_what_can_be_sent_and_what_cannot_is_told() -> None:
    ready = {TP("sales", 0): [letter(1), letter(2)], TP("refunds", 1): [letter(3, "scoring")]}
    stands = Standing(ready, [letter(4)], [letter(offset) for offset in range(10, 18)])
    assert told(stands, [letter(5, "scoring"), letter(6, "refused")], 14) == [
        "14 dead letters",
        "1 were replayed before",
        "2 are events that count in the features and would count twice; to send them too: --reason scoring --reason refused",
        "8 are gone from Kafka, by retention or with their topic, and cannot be sent:",
        "  sales/0 offset 10, 11, 12, 13, 14 and 3 more",
    ]
    assert question(stands) == "Send 3 records again (2 to sales, 1 to refunds) (1 of them will count twice)?"
    assert by_reason([letter(1), letter(2, "time"), letter(3)]) == {"contract": 2, "time": 1}


def test_a_replay_names_its_letter() -> None:
    assert replay_of(RawRecord(b"", headers=[("traceparent", b"x"), (HEADER, b"sales-0-17")])) == "sales-0-17"
    assert replay_of(RawRecord(b"", headers=[("traceparent", b"x")])) is None
    assert replay_of(RawRecord(b"")) is None


def test_letters_far_apart_are_fetched_apart() -> None:
    offsets = [0, 5, GAP_RECORDS + 5, 2 * GAP_RECORDS + 6]
    runs = [[one.offset for one in run] for run in _runs(letter(offset) for offset in offsets)]
    assert runs == [offsets[:3], offsets[3:]]


def test_since_is_a_date_a_time_or_a_length_before_now() -> None:
    assert Since().convert("1970-01-02", None, None) == 86_400
    assert Since().convert("1970-01-01T00:01:00", None, None) == 60
    assert Since().convert("1h", None, None) == pytest.approx(Since().convert("60m", None, None), abs=5)
