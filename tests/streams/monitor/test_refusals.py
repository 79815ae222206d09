"""Dead letters as data quality counts them: real ones, made by the decoder, sorted into type and range."""

from typing import Annotated, Literal

import pytest
from msgspec import Meta

from featurestore.events import Event
from streams.chunk import Chunk
from streams.codec import Decoder
from streams.monitor.refusals import refusal
from streams.partition_reader import RawRecord
from streams.records import REASONS, DeadLetter


class Bid(Event, topic="bids", key="id", id="id", time="at"):
    id: Annotated[str, Meta(max_length=8)]
    side: Literal["buy", "sell"]
    amount: Annotated[float, Meta(ge=0, le=100)]
    at: float
    lots: int = 0


def letter(reason: str, detail: str = "") -> DeadLetter:
    return DeadLetter(
        dead_letter_id="bids-0-0", pipeline="p", reason=reason, field=None, detail=detail, topic="bids", partition=0, offset=0,
        ingest_time=0.0, rejected_time=0.0, payload=None,
    )  # fmt: skip


FINE = b'{"id": "a", "side": "buy", "amount": 1, "at": 1'


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"", "type"),
        (b"{", "type"),
        (b'{"id": "a"}', "type"),
        (b'{"id": 7, "side": "buy", "amount": 1, "at": 1}', "type"),
        (b'{"id": "a", "side": "buy", "amount": null, "at": 1}', "type"),
        (b'{"id": "a", "side": "buy", "amount": "1", "at": 1}', "type"),
        (b'{"id": "a", "side": "buy", "amount": -1, "at": 1}', "range"),
        (b'{"id": "a", "side": "buy", "amount": 101, "at": 1}', "range"),
        (b'{"id": "a", "side": "buy", "amount": 1e999, "at": 1}', "range"),
        (b'{"id": "a", "side": "hold", "amount": 1, "at": 1}', "range"),
        (b'{"id": "123456789", "side": "buy", "amount": 1, "at": 1}', "range"),
        (FINE + b', "lots": 99999999999999999999999}', "range"),
        (b'{"id": "a", "side": "buy", "amount": 1, "at": -5}', "range"),
        (b'{"id": "a", "side": "buy", "amount": 1, "at": 9e9}', "range"),
    ],
)
def test_what_breaks_a_contract_is_of_a_wrong_type_or_out_of_range(value: bytes, kind: str) -> None:
    record = RawRecord(key=None, value=value, offset=0, timestamp=1_000, timestamp_type=1, headers=[])
    batch, (reject,) = Decoder(Bid, 300.0)(Chunk("bids", 0, [record]))
    assert len(batch) == 0
    assert refusal(letter(reject.reason, reject.detail)) == kind


def test_events_without_a_prediction_keep_their_contract() -> None:
    assert [refusal(letter(reason)) for reason in REASONS] == [
        "type", "type", "type", "range", "range", "range", "unscored", "unscored",
    ]  # fmt: skip
