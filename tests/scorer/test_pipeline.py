"""What a pipeline refuses to declare."""

import dataclasses
from math import inf, nan

import pytest

from featurestore.errors import DefinitionError
from tests.streams.test_flow import PIPELINE


def test_an_hour_of_a_worker_may_have_a_price() -> None:
    assert PIPELINE.cost_usd_per_hour is None
    assert dataclasses.replace(PIPELINE, cost_usd_per_hour=0.12).cost_usd_per_hour == 0.12


@pytest.mark.parametrize("price", [0.0, -1.0, inf, nan])
def test_a_price_is_more_than_0(price: float) -> None:
    with pytest.raises(DefinitionError, match="cost_usd_per_hour"):
        dataclasses.replace(PIPELINE, cost_usd_per_hour=price)
