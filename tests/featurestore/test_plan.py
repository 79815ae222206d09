"""A wrong declaration is refused before anything runs, naming what is wrong and the change that mends it."""

from typing import Annotated

import numpy as np
import pytest
from msgspec import Meta

from featurestore.definitions import Category, Count, Feature, HourOfDay, Mean, On, Ratio, Raw, Sum, seconds
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


def test_anything_that_changes_bytes_changes_the_namespace() -> None:
    base = On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"])
    variants = [
        base,
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["2h"]),
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"], tiles=6),
        On(Loose, by="user", fields={"bounded": [Mean]}, windows=["1h"], lateness_tiles=3),
        On(Loose, by="user", fields={"bounded": [Mean]}, aggregates=[Count], windows=["1h"], version=2),
        On(Loose, by=("user", "user"), fields={"bounded": [Mean]}, windows=["1h"], name="loose_by_user"),
    ]
    plans = [compile_plan("p", Loose, [variant]) for variant in variants]
    assert len({plan.namespace(plan.groups[0]) for plan in plans}) == len(variants)


def test_the_schema_lists_columns_in_order_with_their_kinds() -> None:
    assert PLAN.schema.names[:3] == ["sale_by_user.count.1m", "sale_by_user.amount.sum.1m", "sale_by_user.amount.mean.1m"]
    assert PLAN.schema.columns[PLAN.schema.names.index("shop")].kind is FeatureKind.CATEGORY
    assert PLAN.schema.names[-1] == "amount_to_mean"
    assert Sale in PLAN.events


def test_category_codes_depend_on_the_text_alone() -> None:
    """CRC-32's published check value; the same in every process, batch and version."""
    assert category_codes(["x", "123456789", "x"])[1] == float(0xCBF43926)
    assert np.isnan(category_codes([None, "x"])[0])
