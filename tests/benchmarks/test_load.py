"""The generator's schedule and its payments."""

from itertools import chain

import msgspec
import numpy as np
import pytest

from benchmarks.load import Phase, schedule, stream
from examples.payments.events import Payment
from examples.payments.generate import BLOCK, START, records


def test_phases_follow_one_another() -> None:
    due = schedule([Phase(1_000, 15.0), Phase(10_000, 30.0), Phase(1_000, 2.5)])
    assert len(due) == 15_000 + 300_000 + 2_500
    assert (due[0], due[15_000], due[315_000]) == (0.0, 15.0, 45.0)
    assert (np.diff(due) > 0).all()
    assert due[-1] == pytest.approx(47.499)


def test_a_payment_is_known_by_its_place_and_made_when_it_is_due() -> None:
    """Also where a block of the generated stream is not full, or not the first."""
    due = schedule([Phase(20_000, BLOCK / 20_000), Phase(50, 1.0)])
    values = chain.from_iterable(values for _, values in records(stream(due)))
    events = [msgspec.json.decode(value, type=Payment) for value in values]
    assert [int(event.payment_id) for event in events] == list(range(BLOCK + 50))
    assert {len(event.payment_id) for event in events} == {32}
    assert np.allclose([event.at for event in events], START + due, atol=0.0006)
