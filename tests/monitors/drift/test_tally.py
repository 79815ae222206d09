"""Counts are exact: any split of a window, in any order, through bytes or not, merges to the same tally."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.accept import drift_streams as streams
from monitors.drift.profile import Profile
from monitors.drift.reference import Windows, build_profile
from monitors.drift.statistics import Floats
from monitors.drift.tally import Binner, Tally

NAN, INF = float("nan"), float("inf")
SPECIAL = [0.0, -0.0, NAN, INF, -INF, 1e308, -1e308, 5e-324, 1.0, 2.0, 99.0]


def mixed() -> Profile:
    """A number, a category, a constant, and nothing known at all."""
    random = np.random.default_rng(1)
    matrix = np.column_stack(
        [random.normal(size=3_000), random.integers(0, 4, 3_000), np.full(3_000, 7.0), np.full(3_000, NAN)]
    ).astype(np.float64)
    kinds = ["number", "category", "number", "category"]
    times = np.arange(3_000.0)
    return build_profile(matrix, times, ["a", "b", "c", "d"], kinds, streams.nothing(9), windows=Windows(events=50))


PROFILE = mixed()
BINNER = Binner(PROFILE)


def tally_of(*parts: Floats) -> Tally:
    tally = Tally.empty(PROFILE)
    for part in parts:
        BINNER.add(tally, part)
    return tally


windows = arrays(
    np.float64,
    st.tuples(st.integers(0, 40), st.just(7)),
    elements=st.one_of(st.sampled_from(SPECIAL), st.floats(width=64)),
)


@settings(max_examples=200, deadline=None)
@given(windows, st.data())
def test_any_split_in_any_order_gives_an_equal_tally(matrix: Floats, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(matrix)))), dtype=np.int64)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(matrix)), max_size=5)))
    total = Tally.empty(PROFILE)
    for part in np.split(matrix[order], cuts):
        total.merge(Tally.from_bytes(tally_of(part).to_bytes()))
    assert total == tally_of(matrix)


@settings(max_examples=100, deadline=None)
@given(windows)
def test_every_row_is_in_exactly_one_bin_of_each_feature(matrix: Floats) -> None:
    tally = tally_of(matrix)
    assert tally.bins.sum(axis=1).tolist() == [len(matrix)] * 7
    for counts, feature in zip(tally.bins, PROFILE.features, strict=True):
        assert not counts[feature.bins :].any()


@settings(max_examples=100, deadline=None)
@given(windows)
def test_it_counts_as_plain_python_does(matrix: Floats) -> None:
    tally, feature = tally_of(matrix), PROFILE.features[0]
    assert feature.lowest is not None
    assert feature.highest is not None
    known = [x for x in matrix[:, 0].tolist() if x == x]
    assert tally.bins[0][: feature.bins].tolist() == [
        *(
            sum(low < x <= high for x in known) + (i == 0 and known.count(-INF))
            for i, (low, high) in enumerate(_bounds(feature.edges))
        ),
        len(matrix) - len(known),
    ]
    assert tally.below[0] == sum(x < feature.lowest for x in known)
    assert tally.above[0] == sum(x > feature.highest for x in known)
    assert (tally.lowest[0], tally.highest[0]) == (min(known, default=INF), max(known, default=-INF))
    assert tally.unseen[1] == sum(x not in (0, 1, 2, 3) for x in matrix[:, 1].tolist() if x == x)


def _bounds(edges: list[float]) -> list[tuple[float, float]]:
    return list(zip([-INF, *edges], [*edges, INF], strict=True))


def test_counts_beyond_a_byte_go_through_bytes() -> None:
    tally = tally_of(np.zeros((300, 7)))
    tally.bins *= 20_000_000_000
    tally.n = 6_000_000_000_000
    assert Tally.from_bytes(tally.to_bytes()) == tally


def test_an_unchanged_copy_does_not_share_memory() -> None:
    one = tally_of(np.zeros((3, 7)))
    copy = Tally.from_bytes(one.to_bytes())
    one.merge(copy)
    assert (one.n, copy.n) == (6, 3)
    assert one != copy


def test_the_profile_and_the_binner_have_the_same_bins() -> None:
    """The reference is counted from sorted columns, windows by searching: the same rows must give the same counts."""
    values = np.random.default_rng(4).integers(-3, 4, (5_000, 1)) / 3.0
    values[::17] = NAN
    profile = streams.numbers(values)
    tally = streams.tallied(profile, values)
    assert tally.bins[0, : profile.features[0].bins].tolist() == profile.features[0].counts
