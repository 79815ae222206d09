"""A window's tally: any order and any split give the same bytes; its sample counts repetitions and disorder."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors import event_sample
from monitors.event_sample import EventSample
from monitors.hashing import hash_strings
from monitors.quality_tally import QualityTally

LIMITS = (300.0, 60.0)
FEW = 32  # ids sampled: most examples have more


@dataclass(frozen=True)
class Events:
    """Rows as the monitor reads them."""

    hashes: np.ndarray
    times: np.ndarray
    partitions: np.ndarray
    offsets: np.ndarray
    flags: np.ndarray
    ages: np.ndarray

    def add_to(self, tally: QualityTally, rows: np.ndarray) -> None:
        tally.add(
            self.hashes[rows], self.times[rows], self.partitions[rows], self.offsets[rows],
            *self.flags[:, rows], self.ages[rows],
        )  # fmt: skip


def events(seed: int, n: int, ids: int) -> Events:
    dice = np.random.default_rng(seed)
    ages = dice.exponential(200.0, (n, len(LIMITS)))
    ages[dice.random(ages.shape) < 0.2] = np.nan
    return Events(
        hashes=hash_strings(pa.array([f"e{id}" for id in dice.integers(ids, size=n)], pa.string())),
        times=1_700_000_000 + dice.uniform(0, 3_600, n),
        partitions=dice.integers(4, size=n).astype(np.int32),
        offsets=np.arange(n),
        flags=dice.random((3, n)) < 0.1,
        ages=ages,
    )


def tallied(found: Events, parts: Sequence[np.ndarray]) -> QualityTally:
    """Each part counted apart and in batches, some by way of bytes, then all merged."""
    out = QualityTally(LIMITS, FEW)
    for number, part in enumerate(parts):
        tally = QualityTally(LIMITS, FEW)
        tally.reject("type", len(part))
        tally.repeat(1)
        for batch in np.array_split(part, 3):
            found.add_to(tally, batch)
        out.merge(QualityTally.from_bytes(tally.to_bytes(), FEW) if number % 2 else tally)
    return out


@given(st.integers(0, 2**32), st.integers(0, 400), st.integers(1, 300), st.lists(st.integers(0, 400), max_size=4))
def test_any_order_and_any_split_give_the_same_bytes(seed: int, n: int, ids: int, cuts: list[int]) -> None:
    found = events(seed, n, ids)
    parts = np.split(np.random.default_rng(seed).permutation(n), sorted(min(cut, n) for cut in cuts))
    one, other = tallied(found, parts), QualityTally(LIMITS, FEW)
    found.add_to(other, np.arange(n))
    other.reject("type", n)
    other.repeat(len(parts))
    assert one.to_bytes() == other.to_bytes()
    assert one.n == n


def test_bytes_of_something_else_are_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        QualityTally.from_bytes(b"\x93\x01\x02\x03")
    with pytest.raises(ValueError, match="groups"):
        QualityTally(LIMITS).merge(QualityTally((300.0,)))


def test_counts_by_hand() -> None:
    tally = QualityTally(LIMITS)
    no, yes = np.zeros(3, dtype=bool), np.array([True, False, True])
    ages = np.array([[1.0, np.nan], [299.0, np.nan], [301.0, np.nan]])
    hashes = hash_strings(pa.array(["a", "b", "a"]))
    tally.add(hashes, np.array([10.0, 11.0, 9.0]), np.zeros(3, dtype=np.int32), np.arange(3), no, yes, no, ages)
    assert (tally.n, tally.late, tally.missing, tally.stale) == (3, 0, 2, 0)
    assert (tally.first, tally.last) == (9.0, 11.0)
    assert tally.ages.tolist() == [[1, 0, 0, 1, 1, 0, 0, 0, 0, 0], [0] * 10]
    assert tally.older.tolist() == [1, 0]
    assert tally.youngest.tolist() == [1.0, np.inf]
    assert tally.sample.repetitions() == (1, 3)


def sample_of(ids: Sequence[str], times: Sequence[float], size: int = event_sample.SIZE) -> EventSample:
    out, n = EventSample(size), len(ids)
    out.add(
        hash_strings(pa.array(ids, pa.string())), np.zeros(n, dtype=np.int32), np.arange(n), np.array(times, dtype=np.float64)
    )
    return out


def test_a_bounded_sample_estimates_the_share_of_repetitions() -> None:
    """100,000 events of which 5 % repeat one of the 20,000 before; 512 ids are kept."""
    dice = np.random.default_rng(7)
    repeats = dice.random(100_000) < 0.05
    ids = [f"e{i - int(dice.integers(1, 20_000))}" if repeats[i] and i > 20_000 else f"e{i}" for i in range(100_000)]
    truth = 1 - len(set(ids)) / len(ids)
    shares = []
    for salt in range(30):
        found, of = sample_of([f"{salt}-{id}" for id in ids], np.zeros(len(ids)).tolist(), 512).repetitions()
        shares.append(found / of)
    assert np.mean(shares) == pytest.approx(truth, abs=4 * np.std(shares) / np.sqrt(30))
    assert np.std(shares) < 0.02


def test_disorder_is_counted_by_the_fewest_events_out_of_place() -> None:
    steady = [float(i) for i in range(200)]
    ids = [f"e{i}" for i in range(200)]
    assert sample_of(ids, steady).misplaced(0.0) == (0, 200)
    swapped = [float(i + 1 - 2 * (i % 2)) for i in range(200)]  # each pair the wrong way round: 1 s behind
    assert sample_of(ids, swapped).misplaced(2.0) == (0, 200)
    assert sample_of(ids, swapped).misplaced(0.5)[0] == 100
    for place, wrong in ((50, 1e6), (150, 0.0)):  # a clock ahead, and one behind
        assert sample_of(ids, [*steady[:place], wrong, *steady[place + 1 :]]).misplaced(60.0) == (1, 200)


def test_partitions_are_ordered_each_by_itself() -> None:
    sample = EventSample()
    hashes = hash_strings(pa.array([f"e{i}" for i in range(100)]))
    times = np.array([1_000.0 * (i % 2) + i for i in range(100)])
    sample.add(hashes, np.arange(100) % 2, np.arange(100), times)
    assert sample.misplaced(0.0) == (0, 100)
