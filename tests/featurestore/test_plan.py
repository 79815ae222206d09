"""A wrong declaration is refused before anything runs, naming what is wrong and the change that mends it."""

from typing import Annotated, Any

import numpy as np
import pytest
from msgspec import Meta

from featurestore.definitions import (
    Category,
    Count,
    Feature,
    Freshness,
    HourOfDay,
    Last,
    Max,
    Mean,
    On,
    Rate,
    Ratio,
    Raw,
    SecondsSinceLast,
    Std,
    Sum,
    seconds,
    span,
)
from featurestore.errors import DefinitionError
from featurestore.events import Event
from featurestore.plan import category_codes, compile_plan
from featurestore.schema import FeatureKind
from tests.featurestore.world import PLAN, Refund, Sale


class Loose(Event, topic="loose", key="user", id="user", time="at"):
    user: str
    bounded: Annotated[float, Meta(ge=0, le=1)]
    unbounded: float
    at: float


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (On(Loose, by="user", fields={"unbounded": [Mean]}, windows=["1h"]), "has no range; declare it as Annotated"),
        (On(Loose, by="user", fields={"user": [Mean]}, windows=["1h"]), "is not a number"),
        (On(Loose, by="nobody", aggregates=[Count], windows=["1h"]), "has no field 'nobody'"),
        (On(Loose, by="bounded", aggregates=[Count], windows=["1h"]), "must be text or a whole number"),
        (On(Loose, by="user", aggregates=[Count]), "no windows"),
        (On(Loose, by="user", aggregates=[Count], windows=["1h", "1h"]), "declared twice"),
        (On(Loose, by="user", aggregates=[Count], windows=["1 hour"]), "is not a duration"),
        (On(Loose, by="user", windows=["1h"]), "computes nothing"),
        (On(Loose, by="user", aggregates=[Sum], windows=["1h"]), "knows Count, Rate and SecondsSinceLast only"),
        (On(Loose, by="user", aggregates=[Count], windows=["1h"], tiles=0), "tiles must be at least 1"),
        (On(Loose, by="user", aggregates=[Last], windows=["1h"]), "aggregates of a field go into fields="),
        (On(Loose, by="user", fields={"bounded": [SecondsSinceLast]}, windows=["1h"]), r"write aggregates=\[SecondsSinceLast\]"),
        (On(Loose, by="user", fields={"bounded": [Mean, Max, Std]}, half_life="2h"), "not of max, std; declare windows= for"),
        (On(Loose, by="user", aggregates=[Rate], half_life="2h"), "not of rate; declare windows= for"),
        (On(Loose, by="user", fields={"bounded": [Max]}, windows=["1h"], half_life="2h"), "it has none of them"),
        (On(Loose, by="user", aggregates=[Count], half_life="soon"), "'soon' is not a duration"),
        (On(Loose, by="user", aggregates=[Count], half_life=["2h"]), "half_life= is one duration, such as '2h'"),  # type: ignore[arg-type]
        (On(Refund, by="shop", aggregates=[Count], windows=["1h"]), "scored event Loose has no field 'shop'"),
        (Raw("nothing"), "has no field 'nothing'"),
        (Raw("user"), "text goes into Category"),
        (Category("bounded"), "text goes into Category"),
        (HourOfDay("user"), "text goes into Category"),
        (Ratio("r", "bounded", "x"), "there is no feature 'x'"),
    ],
)
def test_a_wrong_feature_is_refused(feature: Feature, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        compile_plan("p", Loose, [Raw("bounded"), feature])


def test_names_are_unique() -> None:
    group = On(Loose, by="user", aggregates=[Count], windows=["1h"])
    with pytest.raises(DefinitionError, match="declared twice"):
        compile_plan("p", Loose, [group, group])
    with pytest.raises(DefinitionError, match="'bounded' is declared twice"):
        compile_plan("p", Loose, [Raw("bounded"), Raw("bounded")])


def test_a_contract_names_its_own_fields() -> None:
    with pytest.raises(DefinitionError, match="key='nobody' is not one of its fields"):

        class Wrong(Event, topic="t", key="nobody", id="a", time="a"):
            a: float


def test_durations() -> None:
    assert [seconds(text) for text in ("1s", "5m", "2h", "3d", "1w")] == [1, 300, 7200, 259_200, 604_800]
    for wrong in ("", "h", "-1h", "1.5h", "0h", "1y", "١h"):
        with pytest.raises(DefinitionError, match="is not a duration"):
            seconds(wrong)


def test_a_span_is_the_shortest_duration() -> None:
    for text in ("45s", "90s", "5m", "90m", "6h", "36h", "3d", "2w"):
        assert span(seconds(text)) == text


def test_anything_that_changes_bytes_changes_the_namespace() -> None:
    base = On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"])
    variants = [
        base,
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["2h"]),
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"], tiles=6),
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"], lateness_tiles=3),
        On(Loose, by="user", fields={"bounded": [Mean]}, aggregates=[Count], windows=["1h"], version=2),
        On(Loose, by=("user", "user"), fields={"bounded": [Mean]}, windows=["1h"], name="loose_by_user"),
        On(Loose, by="user", fields={"bounded": [Mean, Last]}, windows=["1h"]),
        On(Loose, by="user", fields={"bounded": [Mean]}, aggregates=[SecondsSinceLast], windows=["1h"]),
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"], half_life="1h"),
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"], half_life="2h"),
        On(Loose, by="user", fields={"bounded": [Mean]}, half_life="1h"),
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["15m", "1h"]),
    ]
    plans = [compile_plan("p", Loose, [variant]) for variant in variants]
    assert len({plan.namespace(plan.groups[0]) for plan in plans}) == len(variants)


def test_a_groups_namespace_outlives_releases() -> None:
    """States of an earlier release are found again: new kinds of aggregates must not rename the groups that do without."""
    group = On(Loose, by="user", fields={"bounded": [Mean, Std, Max]}, aggregates=[Count], windows=["1h", "24h"])
    plan = compile_plan("p", Loose, [group])
    assert plan.namespace(plan.groups[0]) == "p.loose_by_user.v1.bf0874dba3b9"


def test_the_horizon_is_the_longest_ring_or_max_age() -> None:
    def horizon(**options: Any) -> float:
        return compile_plan("p", Loose, [On(Loose, by="user", aggregates=[Count], **options)]).groups[0].horizon_seconds

    assert horizon(windows=["1h", "12m"]) == 3600 * 15 / 12  # 12 tiles, the current one, 2 of lateness
    assert horizon(windows=["1h"], lateness_tiles=0, tiles=1) == 7200
    assert horizon(half_life="1h") == (8 * 4 + 3) * 900
    assert horizon(windows=["1h"], half_life="1m") == 3600 * 15 / 12
    assert horizon(windows=["1h"], freshness=Freshness("6h")) == 21_600
    assert horizon(windows=["1h"], freshness={"count.1h": Freshness("1m")}) == 3600 * 15 / 12


def test_columns_of_a_half_life_follow_those_of_the_windows() -> None:
    group = On(
        Loose, by="user", fields={"bounded": [Mean, Last]}, aggregates=[Count, Rate], windows=["1h"], half_life="2h", name="g"
    )
    assert compile_plan("p", Loose, [group]).schema.names == [
        "g.count.1h", "g.rate.1h", "g.bounded.mean.1h", "g.bounded.last.1h", "g.decayed_count.2h", "g.bounded.decayed_mean.2h",
    ]  # fmt: skip


def test_the_schema_lists_columns_in_order_with_their_kinds() -> None:
    assert PLAN.schema.names[:3] == ["sale_by_user.count.1m", "sale_by_user.amount.sum.1m", "sale_by_user.amount.mean.1m"]
    assert PLAN.schema.columns[PLAN.schema.names.index("shop")].kind is FeatureKind.CATEGORY
    assert PLAN.schema.names[-1] == "amount_to_mean"
    assert Sale in PLAN.events


def test_category_codes_depend_on_the_text_alone() -> None:
    """CRC-32's published check value; the same in every process, batch and version."""
    assert category_codes(["x", "123456789", "x"])[1] == float(0xCBF43926)
    assert np.isnan(category_codes([None, "x"])[0])
