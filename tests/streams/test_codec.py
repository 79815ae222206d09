"""Bytes to events: what keeps its contract goes on, everything else is rejected with reason, field and position."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.events import Event
from streams.chunk import Chunk
from streams.codec import Decoder
from tests.featurestore.world import SALES, Sale
from tests.streams.records import RawRecord, chunk, event_chunk

GOOD = b'{"id":"1","user":"ann","shop":"baker","amount":2.5,"at":1700000000.0}'
decode = Decoder(Sale, future_skew_seconds=300.0)


@pytest.mark.parametrize(
    ("value", "reason", "field"),
    [
        (None, "empty", None),
        (b"", "empty", None),
        (b"not json", "malformed", None),
        (b"{", "malformed", None),
        (GOOD + GOOD, "malformed", None),
        (b"\xff\xfe", "malformed", None),
        (GOOD.replace(b"ann", b"\xff"), "malformed", None),
        (b'{"x":' + b"[" * 100_000, "malformed", None),
        (b"[]", "contract", None),
        (b"null", "contract", None),
        (GOOD.replace(b"2.5", b"-1"), "contract", "$.amount"),
        (GOOD.replace(b"2.5", b"10000.01"), "contract", "$.amount"),
        (GOOD.replace(b"2.5", b'"2.5"'), "contract", "$.amount"),
        (GOOD.replace(b"2.5", b"NaN"), "malformed", None),
        (GOOD.replace(b"2.5", b"1e999"), "contract", "$.amount"),
        (GOOD.replace(b'"id":"1",', b""), "contract", None),
        (GOOD.replace(b"1700000000.0", b"-1"), "time", "$.at"),
        (GOOD.replace(b"1700000000.0", b"1700000301"), "future", "$.at"),
        (GOOD.replace(b"1700000000.0", b"1e300"), "future", "$.at"),
        (GOOD.replace(b'"1"', b'"' + b"x" * 1_025 + b'"'), "oversize", "$.id"),
    ],
)
def test_a_record_that_breaks_its_contract_is_rejected_with_its_reason(
    value: bytes | None, reason: str, field: str | None
) -> None:
    batch, rejects = decode(chunk([GOOD, value, GOOD], first=40))
    assert batch.offsets.tolist() == [40, 42]
    assert [(r.reason, r.field, r.record.offset) for r in rejects] == [(reason, field, 41)]


def test_the_rest_of_a_chunk_goes_on() -> None:
    values = [GOOD, b"x", GOOD, GOOD.replace(b"1700000000.0", b"-1"), b"", GOOD]
    batch, rejects = decode(chunk(values))
    assert batch.offsets.tolist() == [0, 2, 5]
    assert [reject.record.offset for reject in rejects] == [1, 3, 4]


def test_a_clock_slightly_ahead_is_accepted() -> None:
    batch, rejects = decode(chunk([GOOD.replace(b"1700000000.0", b"1700000299")]))
    assert (len(batch), rejects) == (1, [])


@given(st.binary(max_size=200))
def test_no_bytes_whatever_stop_the_stream(value: bytes) -> None:
    batch, rejects = decode(chunk([value]))
    assert len(batch) + len(rejects) == 1


def test_details_never_hold_values() -> None:
    secret = b"4111111111111111"
    values = [
        GOOD.replace(b"2.5", b'"' + secret + b'"'),
        GOOD.replace(b'"ann"', secret),
        secret,
        GOOD.replace(b"2.5", b"9" + secret),
    ]
    _, rejects = decode(chunk(values))
    assert len(rejects) == 4
    assert not any(secret.decode() in reject.detail for reject in rejects)


@settings(deadline=None)
@given(st.lists(SALES, min_size=1, max_size=20))
def test_what_is_encoded_is_decoded(sales: list[Sale]) -> None:
    batch, rejects = decode(event_chunk(sales))
    assert not rejects
    assert batch.events == sales
    assert batch.times.tolist() == [sale.at for sale in sales]
    assert batch.keys == [None if sale.user is None else sale.user.encode() for sale in sales]


def test_unknown_fields_are_ignored() -> None:
    batch, rejects = decode(chunk([GOOD[:-1] + b',"new":1}']))
    assert (len(batch), rejects) == (1, [])


def test_a_huge_key_is_refused() -> None:
    records = [RawRecord(GOOD, 0, b"k" * 65_536), RawRecord(GOOD, 1, b"k" * 65_537)]
    batch, rejects = decode(Chunk("sales", 0, list(records)))
    assert batch.offsets.tolist() == [0]
    assert [(reject.reason, reject.field) for reject in rejects] == [("oversize", None)]


class Strict(Event, topic="strict", key="kind", id="kind", time="at", forbid_unknown_fields=True):
    kind: Literal["a", "b"]
    at: float


@pytest.mark.parametrize("value", [b'{"kind":"%s","at":1}', b'{"kind":"a","at":1,"%s":1}', b'{"kind":"a","at":"%s"}'])
def test_a_long_value_neither_shows_nor_swells_a_dead_letter(value: bytes) -> None:
    secret = b"4111" * 100_000
    _, (reject,) = Decoder(Strict, 300.0)(chunk([value.replace(b"%s", secret)]))
    assert reject.reason == "contract"
    assert "4111" not in reject.detail
    assert len(reject.detail) <= 200


class Counted(Event, topic="counted", key="id", id="id", time="at"):
    id: int
    n: int | None
    at: int


def test_whole_numbers_beyond_64_bits_are_refused() -> None:
    """JSON allows any number of digits; float() raises on 400 of them and str() on 5,000."""
    huge = b"9" * 400
    values = [b'{"id":1,"n":2,"at":3}', b'{"id":1,"n":%s,"at":3}', b'{"id":%s,"n":2,"at":3}', b'{"id":1,"n":2,"at":-%s}']
    batch, rejects = Decoder(Counted, 300.0)(chunk([value.replace(b"%s", huge) for value in values]))
    assert batch.offsets.tolist() == [0]
    assert [(reject.reason, reject.field) for reject in rejects] == [
        ("contract", "$.n"),
        ("contract", "$.id"),
        ("contract", "$.at"),
    ]
    batch, rejects = Decoder(Counted, 300.0)(chunk([b'{"id":18446744073709551615,"n":null,"at":3}']))
    assert (len(batch), rejects) == (1, [])


def test_minus_zero_is_the_same_moment() -> None:
    batch, _ = decode(chunk([GOOD.replace(b"1700000000.0", b"-0.0")]))
    assert np.copysign(1.0, batch.times[0]) == 1.0
