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


@pytest.mark.parametrize(
    ("what", "text"), [("name", 'a "shop"'), ("name", "../shop"), ("name", ""), ("team", "ops team"), ("owner", "{{ $value }}")]
)
def test_what_cannot_stand_in_rules_topics_or_files_is_refused(what: str, text: str) -> None:
    with pytest.raises(DefinitionError, match=what):
        dataclasses.replace(PIPELINE, **{what: text})


def test_a_team_may_be_missing_until_production_asks_for_it() -> None:
    assert dataclasses.replace(PIPELINE, team="", owner="Ana Ö <ana@shop.example>").team == ""
