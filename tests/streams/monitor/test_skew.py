"""What a comparison takes and how it counts: entities by hash, small groups whole, bits against a billionth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore import offline
from featurestore.compute import Served, Touch, fill_ratios, serve_group
from featurestore.definitions import Count, Mean, On, Ratio, Raw
from featurestore.events import EventBatch, Source
from featurestore.plan import FeaturePlan, compile_plan
from streams.errors import SkewUnknown
from streams.monitor.skew_counts import by_column, columns_of, count_skew, mismatched
from streams.monitor.skew_order import Met, explained
from streams.monitor.skew_sample import EntitySample
from streams.monitor.skew_vectors import place_of
from tests.featurestore.world import START, Refund, Sale

USERS, SHOPS = "sale_by_user", "refund_by_shop"
FEATURES = [
    On(Sale, by="user", fields={"amount": [Mean]}, aggregates=[Count], windows=["1m", "10m"]),
    On(Refund, by="shop", aggregates=[Count], windows=["10m"]),
    Raw("amount"),
    Ratio("per_refund", f"{USERS}.count.1m", f"{SHOPS}.count.10m"),
]
PLAN = compile_plan("skewed", Sale, FEATURES)


def batches(users: int = 400, n: int = 4_000) -> list[EventBatch]:
    """Sales of many users and refunds of four shops, a tenth of a second apart, in batches of 500."""
    dice = np.random.default_rng(3)
    out = []
    for first in range(0, n, 500):
        times = START + np.arange(first, first + 500) / 10
        for event, topic in ((Sale, "sales"), (Refund, "refunds")):
            rows = [
                event(
                    id=f"{i}",
                    user=f"u{dice.integers(users)}",
                    shop=f"m{dice.integers(4)}",
                    amount=float(dice.integers(100)),
                    at=at,
                )
                for i, at in enumerate(times)
            ]
            out.append(EventBatch(event, Source(topic, 0), np.arange(first, first + 500), times, times, [None] * 500, rows))
    return out


def held(sample: EntitySample, given: list[EventBatch]) -> list[EventBatch]:
    assert sum(len(sample.hold(batch)) for batch in given) == 0  # the history need not hold them, too
    return sample.batches()


def whole(plan: FeaturePlan, given: list[EventBatch]) -> dict[int, np.ndarray]:
    """Vectors by offset."""
    served = offline.compute(plan, given).served
    offsets = np.concatenate([batch.offsets for batch in given if batch.event is Sale])
    return dict(zip(offsets.tolist(), served.vectors, strict=True))


def test_the_features_of_entities_that_are_taken_come_out_whole() -> None:
    given = batches()
    sample = EntitySample(PLAN, 0.1)
    kept = held(sample, given)
    assert [group.name for group in sample.groups] == [USERS, SHOPS]
    all_vectors, few_vectors = whole(PLAN, given), whole(PLAN, kept)
    comparable = np.concatenate([sample.comparable(PLAN.reads[0], batch) for batch in kept if batch.event is Sale])
    assert 0.05 < comparable.mean() < 0.2  # users by hash
    shops = np.concatenate([sample.comparable(PLAN.reads[1], batch) for batch in kept if batch.event is Sale])
    assert shops.all()  # four shops are few
    for row, offset in enumerate(np.concatenate([batch.offsets for batch in kept if batch.event is Sale]).tolist()):
        columns = by_column(PLAN, {USERS: comparable[row : row + 1], SHOPS: shops[row : row + 1]}, 1)[0]
        assert few_vectors[offset][columns].tobytes() == all_vectors[offset][columns].tobytes()


def test_without_small_groups_only_events_of_entities_taken_are_held() -> None:
    given = batches()
    sample = EntitySample(PLAN, 0.1, left_out=[SHOPS])
    kept = held(sample, given)
    assert 0 < sum(map(len, kept)) < 0.2 * sum(map(len, given))
    users = {event.user for batch in kept for event in batch.events}
    assert users.isdisjoint(
        {event.user for batch in given if batch.event is Sale for event in batch.events if event.user not in users}
    )
    assert sum(map(len, kept)) == sum(event.user in users for batch in given if batch.event is Sale for event in batch.events)


def test_a_small_group_of_too_many_events_is_given_up_and_then_too_many_are_refused() -> None:
    given = batches()
    sample = EntitySample(PLAN, 0.1, events_max=1_000)
    kept = held(sample, given)
    assert sample.given_up == [SHOPS]
    assert 0 < sum(map(len, kept)) <= 1_000
    assert not sample.comparable(PLAN.reads[1], given[0]).any()
    with pytest.raises(SkewUnknown, match="--share"):
        held(EntitySample(PLAN, 0.9, events_max=1_000), given)


def test_a_pipeline_without_groups_takes_events_by_their_ids() -> None:
    plan = compile_plan("plain", Sale, [Raw("amount")])
    kept = held(EntitySample(plan, 0.1), [batch for batch in batches() if batch.event is Sale])
    assert 0.05 < sum(map(len, kept)) / 4_000 < 0.2


def test_a_mismatch_is_more_than_a_billionth_or_a_missing_value() -> None:
    one = 1.0 + 2.0**-52
    served = np.array([[1.0, 1.0, np.nan, np.nan, 0.0, np.inf, 5.0, 1e-300]])
    again = np.array([[one, 1.0001, np.nan, 1.0, -0.0, np.inf, -np.inf, 2e-300]])
    assert mismatched(served, again)[0].tolist() == [False, True, False, True, False, False, True, True]
    names = [f"f{i}" for i in range(8)]
    whole, no = np.ones((1, 8), dtype=bool), np.zeros((1, 8), dtype=bool)
    found = count_skew(names, served, again, whole, no, {"f7": "why"})
    assert [(each.mismatches, each.differing) for each in found] == [
        (0, 1),
        (1, 1),
        (0, 0),
        (1, 1),
        (0, 1),
        (0, 0),
        (1, 1),
        (0, 0),
    ]
    assert (found[7].ratio, found[7].why) == (None, "why")
    assert [(each.mismatches, each.by_order) for each in count_skew(names, served, again, whole, whole, {})][1] == (0, 1)
    (nothing, *_) = count_skew(names, served, again, no, no, {})
    assert (nothing.compared, nothing.ratio) == (0, None)
    assert nothing.why


@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_the_same_bits_are_never_a_mismatch(values: list[float]) -> None:
    matrix = np.array([values])
    assert not mismatched(matrix, matrix.copy()).any()


def served_late(plan: FeaturePlan, given: list[EventBatch], late_seconds: float) -> np.ndarray:
    """What a worker serves that is so much behind with refunds: the vectors of the sales, in the order of `given`."""
    met_at = np.concatenate([batch.times + (late_seconds if batch.event is Refund else 0.0) for batch in given])
    order, times = np.argsort(met_at, kind="stable"), np.concatenate([batch.times for batch in given])
    served = Served.unfilled(len(times), plan)
    for reads in plan.reads:
        met = Met.of(plan, reads, given)
        states = np.tile(reads.group.empty, (met.writers.max() + 1, 1))
        arrived = Touch(met.readers[order], met.writers[order], met.contributions[order])
        serve_group(plan, reads, states, arrived, times[order], served)
    vectors = served.vectors[np.argsort(order)][np.concatenate([np.full(len(batch), batch.event is Sale) for batch in given])]
    vectors[:, plan.schema.names.index("amount")] = np.concatenate([b.numbers("amount") for b in given if b.event is Sale])
    fill_ratios(plan, vectors)
    return vectors


def why_wrong(served: np.ndarray, given: list[EventBatch]) -> tuple[np.ndarray, np.ndarray]:
    """Which values are wrong, and which of them are explained."""
    wrong = mismatched(served, np.array([*whole(PLAN, given).values()]))
    places = np.concatenate([place_of(batch.partitions, batch.offsets) for batch in given if batch.event is Sale])
    return wrong, explained(PLAN, given, places, served, wrong)


def test_values_that_lack_what_was_late_are_explained_and_others_are_not() -> None:
    given = batches(users=40, n=2_000)
    served = served_late(PLAN, given, 4.0)
    served[100, PLAN.schema.names.index(f"{SHOPS}.count.10m")] += 1_000  # no order gives that
    wrong, found = why_wrong(served, given)
    assert set(np.array(PLAN.schema.names)[wrong.any(axis=0)]) == {f"{SHOPS}.count.10m", "per_refund"}
    assert wrong.any(axis=1).mean() > 0.5
    assert np.flatnonzero((wrong & ~found).any(axis=1)).tolist() == [100]
    wrong, found = why_wrong(served_late(PLAN, given, 60.0), given)
    assert found.sum() < 0.1 * wrong.sum()  # nothing arrives that late


def test_what_its_own_partition_brought_before_an_event_is_known() -> None:
    """A vector that counts its own event is wrong, though the entity's events up to the next would give it."""
    given = batches(users=40, n=2_000)
    leaking = replace(FEATURES[0], including_self=True)
    served = served_late(compile_plan("skewed", Sale, [leaking, *FEATURES[1:]]), given, 0.0)
    wrong, found = why_wrong(served, given)
    assert wrong[:, PLAN.reads[0].places].any(axis=1).all()
    assert not found[:, PLAN.reads[0].places].any()


def test_what_is_said_of_a_group_is_said_of_its_features_and_their_ratios() -> None:
    assert columns_of(PLAN, {SHOPS: "gone"}) == {f"{SHOPS}.count.10m": "gone", "per_refund": "gone"}
