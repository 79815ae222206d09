"""What was counted is counted once: any chunks, repeated in any order, give each offset as new exactly once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.seen import STRETCHES_MAX, Seen

CHUNKS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def chunks(lengths: list[int], partitions: int = 1) -> list[tuple[np.ndarray, np.ndarray]]:
    """Consecutive chunks; each leaves out its last offset but one, as a reject would be."""
    out, first = [], 0
    for i, length in enumerate(lengths):
        offsets = np.array([o for o in range(first, first + length) if o != first + length - 2])
        out.append((np.full(len(offsets), i % partitions), offsets))
        first += length
    return out


@given(CHUNKS, st.integers(1, 3), st.data())
def test_every_row_is_new_once_whatever_comes_again(lengths: list[int], partitions: int, data: st.DataObject) -> None:
    published = chunks(lengths, partitions)
    repeated = data.draw(st.lists(st.sampled_from(published), max_size=6))
    order = data.draw(st.permutations([*published, *repeated]))
    seen, new = Seen(), []
    for part, offsets in order:
        fresh = seen.fresh(part, offsets)
        new += [(p, o) for p, o, is_new in zip(part.tolist(), offsets.tolist(), fresh.tolist(), strict=True) if is_new]
        seen = Seen(seen.as_lists())
    expected = {(p, o) for part, offsets in published for p, o in zip(part.tolist(), offsets.tolist(), strict=True)}
    assert len(new) == len(set(new))
    assert set(new) == expected


def test_a_repeated_chunk_cut_otherwise_is_told_row_by_row() -> None:
    seen, zeros = Seen(), np.zeros(6, dtype=np.int32)
    assert seen.fresh(zeros, np.arange(6)).all()
    assert seen.fresh(zeros, np.arange(3, 9)).tolist() == [False] * 3 + [True] * 3


def test_it_stays_small_and_forgets_only_the_oldest_gaps() -> None:
    seen = Seen()
    for first in range(0, 4 * STRETCHES_MAX, 2):  # every second offset is a gap
        seen.fresh(np.zeros(1), np.array([first]))
    (stretches,) = seen.as_lists().values()
    assert len(stretches) == STRETCHES_MAX
    newest = 4 * STRETCHES_MAX - 2
    assert seen.fresh(np.zeros(2), np.array([newest - 1, newest])).tolist() == [True, False]
