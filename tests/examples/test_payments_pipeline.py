"""The payments pipeline, event by event, as a user tests a pipeline: what its features see of a takeover and of a burst."""

from typing import Any

import pytest

from examples.payments.events import Payment
from examples.payments.pipeline import pipeline
from streams.testing import TestDriver, feature_names

NOON = 1_700_049_600.0
NAMES = feature_names(pipeline)


def payment(id: str, at: float = NOON, **changes: Any) -> Payment:
    usual = {"user": "ann", "merchant": "baker", "country": "PT", "amount": 20.0, "channel": "chip", "category": "food"}
    return Payment(payment_id=id, at=at, card_age_days=400, **(usual | changes))


def test_a_takeover_stands_out_against_the_users_own_habits() -> None:
    """Twenty small payments, then one of 900: the mean that its vector holds is that of the small ones."""
    with TestDriver(pipeline) as driver:
        driver.send(*[payment(f"p{i}", NOON + 60 * i) for i in range(20)], payment("dear", NOON + 1_300, amount=900.0))
        row = driver.features_of("dear")
    assert row["amount"] == 900.0
    assert row["payment_by_user.amount.mean.1h"] == pytest.approx(20.0)
    assert row["payment_by_user.amount.max.24h"] == pytest.approx(20.0)


def test_a_burst_raises_the_count_of_minutes_and_hardly_that_of_the_day() -> None:
    earlier = [payment(f"e{i}", NOON + 3_600 * i) for i in range(10)]
    burst = [payment(f"b{i}", NOON + 36_000 + i, amount=1.0) for i in range(6)]
    with TestDriver(pipeline) as driver:
        driver.send(*earlier, *burst)
        counts = {window: driver.features_of("b5")[f"payment_by_user.count.{window}"] for window in ("5m", "1h", "24h")}
    assert counts == {"5m": 5, "1h": 6, "24h": 15}


def test_users_shops_and_countries_are_counted_apart() -> None:
    with TestDriver(pipeline, partitions=4) as driver:
        driver.send(payment("a", NOON), payment("b", NOON + 1, user="bob"), payment("c", NOON + 2, user="bob", merchant="tailor"))
        row = driver.features_of("c")
    assert [row[f"payment_by_{entity}.count.5m"] for entity in ("user", "merchant", "country")] == [1, 0, 2]


def test_a_rule_in_the_models_place_decides() -> None:
    count = NAMES.index("payment_by_user.count.5m")
    with TestDriver(pipeline, model=lambda vectors: (vectors[:, count] >= 5) * 1.0) as driver:
        driver.send(*[payment(f"p{i}", NOON + i) for i in range(8)])
        assert [p.decision for p in driver.predictions()] == [False] * 5 + [True] * 3
