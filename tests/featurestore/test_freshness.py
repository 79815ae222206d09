"""A value that is too old, or not there, gives way to its policy; one that is fresh is served as it is."""

import numpy as np
import pytest

from featurestore import offline
from featurestore.compute import Served
from featurestore.definitions import Count, Feature, Freshness, Max, Mean, On, Ratio, Raw
from featurestore.errors import DefinitionError
from featurestore.plan import compile_plan
from tests.featurestore.world import PLAN, Sale, batch


def sale(user: str | None, at: float) -> Sale:
    return Sale(id="x", user=user, shop="baker", amount=100.0, at=at)


SALES = [sale("ann", 1_000.0), sale("ann", 1_030.0), sale("ann", 1_061.0), sale("bob", 1_061.0), sale(None, 1_061.0)]
FRESH_ROW, STALE_ROW, NEVER_ROW, NOBODY_ROW = 1, 2, 3, 4  # ages 30 s, 31 s, never seen, no id


def served(freshness: object, *others: Feature) -> Served:
    group = On(
        Sale, by="user", fields={"amount": [Mean]}, aggregates=[Count], windows=["1h"], freshness=freshness, name="g"  # type: ignore[arg-type]
    )  # fmt: skip
    return offline.compute(compile_plan("p", Sale, [group, *others]), [batch(SALES)]).served


def test_max_age_itself_is_still_fresh() -> None:
    found = served(Freshness("30s"))
    assert found.vectors[FRESH_ROW].tolist() == [1.0, 100.0]
    assert found.stale.tolist() == [False, False, True, False, False]


def test_null_serves_nan_for_stale_and_missing_alike() -> None:
    found = served(Freshness("30s"))
    assert np.isnan(found.vectors[[STALE_ROW, NEVER_ROW, NOBODY_ROW]]).all()
    assert not found.refused.any()


def test_a_number_stands_in_and_a_ratio_is_taken_of_it() -> None:
    found = served(Freshness("30s", otherwise=25.0), Raw("amount"), Ratio("r", "amount", "g.amount.mean.1h"))
    assert found.vectors[:, 1].tolist() == [25.0, 100.0, 25.0, 25.0, 25.0]
    assert found.vectors[:, 3].tolist() == [4.0, 1.0, 4.0, 4.0, 4.0]


def test_refuse_marks_the_events_that_must_not_be_scored() -> None:
    found = served(Freshness("30s", otherwise="refuse"))
    assert found.refused.tolist() == [True, False, True, True, True]
    assert np.isnan(found.vectors[found.refused]).all()


def test_a_policy_of_one_column_leaves_the_others_alone() -> None:
    found = served({"amount.mean.1h": Freshness("30s", otherwise=-1.0)})
    assert found.vectors[STALE_ROW].tolist() == [2.0, -1.0]
    assert found.vectors[NEVER_ROW].tolist() == [0.0, -1.0]


def test_values_are_counted_by_state() -> None:
    assert served(Freshness("30s")).states() == {"fresh": 2, "stale": 2, "missing": 6}
    assert served(Freshness("30s", otherwise=0.0)).states() == {"fresh": 2, "stale": 2, "missing": 6}
    assert served(None).states() == {"fresh": 6, "stale": 0, "missing": 4}
    assert served({"count.1h": Freshness("30s", otherwise=7.0)}).take(np.array([STALE_ROW])).states() == {
        "fresh": 1, "stale": 1, "missing": 0,
    }  # fmt: skip


def test_without_a_policy_nothing_is_marked() -> None:
    plan = compile_plan("p", Sale, [On(Sale, by="user", aggregates=[Count], windows=["1h"])])
    assert Served.unfilled(3, plan).marks is None
    assert Served.unfilled(3, PLAN).marks is not None


@pytest.mark.parametrize(
    ("freshness", "words"),
    [
        (Freshness("soon"), "'soon' is not a duration"),
        (Freshness("1h", otherwise="skip"), "'skip' is none of 'null', 'refuse' and a number"),  # type: ignore[arg-type]
        (Freshness("1h", otherwise=float("nan")), "nan is none of"),
        ({"amount.mean.2h": Freshness("1h")}, r"names 'amount.mean.2h'; its columns are count.1h, amount.mean.1h"),
        ("6h", r"write Freshness\(max_age='6h'\)"),
        ({"count.1h": "6h"}, r"write Freshness\(max_age='6h'\)"),
    ],
)
def test_a_wrong_policy_is_refused(freshness: object, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        served(freshness)


def test_a_policy_changes_no_state() -> None:
    """It is a way of reading: a group may get one without a backfill, and readers of one group may differ."""
    groups = [On(Sale, by="user", fields={"amount": [Max]}, windows=["1h"], freshness=f) for f in (None, Freshness("1m"))]
    plans = [compile_plan("p", Sale, [group]) for group in groups]
    assert plans[0].namespace(plans[0].groups[0]) == plans[1].namespace(plans[1].groups[0])
