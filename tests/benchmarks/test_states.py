"""States and memory as benchmarks see them: whole lifetimes, chunks of distinct users, ratios, growth, and what holds its bar."""

import numpy as np
import pytest

from benchmarks.parts import entities, memory
from benchmarks.parts.memory import Run, Sample
from benchmarks.states.costs import Sized, growth, spread
from benchmarks.states.footprint import Kept, Server
from benchmarks.states.users import CHUNK, NOW, Cost, Costs, by_user, drawn, full, lifetime
from featurestore.layout import HEADS, Group

VALKEY = Server("Valkey 9", "9.1.2", "libc")
GROUP = by_user().groups[0]


def _counted(group: Group, times: list[float]) -> np.ndarray:
    """One state in which a tile counts an event for each of the times that fall into it."""
    state = group.empty.copy().reshape(1, -1)
    for time in times:
        for seconds, ring, start in zip(group.tile_seconds, group.rings, group.starts, strict=True):
            tile = int(time // seconds)
            if tile > NOW // seconds - ring:
                state[0, start + tile % ring * len(group.slots)] += 1.0
    return state


def test_a_lifetime_fills_every_tile() -> None:
    times = lifetime(GROUP).tolist()
    assert times == sorted(times)
    assert times[-1] == NOW
    assert GROUP.starts[0] == HEADS + len(GROUP.rings)
    assert full(GROUP, _counted(GROUP, times))
    assert not full(GROUP, _counted(GROUP, times[1:]))


def test_a_chunk_is_of_distinct_users() -> None:
    chunks = drawn(np.random.default_rng(1), 3_000, 4)
    assert [len(np.unique(chunk)) for chunk in chunks] == [CHUNK] * 4
    assert max(int(chunk.max()) for chunk in chunks) < 3_000


def _costs(merge: float) -> Costs:
    return Costs(Cost(2.0, 4.0), Cost(merge, 2 * merge))


ROUNDS = {10: [_costs(10.0), _costs(20.0), _costs(10.0)], 1_000: [_costs(11.0), _costs(30.0), _costs(14.0)]}


def test_the_most_entities_are_compared_with_the_fewest_round_by_round() -> None:
    assert spread(ROUNDS[10], "merge", "redis_cpu_us").middle == 10.0
    assert growth(ROUNDS, "redis_cpu_us").middle == pytest.approx(1.4)  # of 1.1, 1.5 and 1.4


def test_rows_say_which_bars_hold() -> None:
    sized = Sized(ROUNDS, {10: 2048.0, 1_000: 1024.0}, VALKEY)
    kept = [(Kept(VALKEY, entities.SMALL, 1_120, 1_280.0), 1.25), (Kept(VALKEY, entities.PAYMENTS, 1_480, 1_600.0), None)]
    found = {row.name: row for row in entities.rows(sized, {3: ROUNDS[10]}, kept)}
    flat = found["entities/merge 1,000 against 10"]
    assert (flat.value, flat.bar, flat.holds) == (1.4, 1.2, False)
    small, payments = (found[f"entities/memory Valkey 9, {layout}"] for layout in (entities.SMALL, entities.PAYMENTS))
    assert (small.value, small.holds, payments.bar, payments.holds) == (1.25, True, None, None)
    assert found["entities/merge 3 windows/wall_us"].value == 20.0


def _run(second_half: float) -> Run:
    """300 MiB at first, from the middle on so much more for each tenth of the events."""
    samples = [Sample(n * 10, 300.0 + max(0, n - 50) / 10 * second_half) for n in range(101)]
    return Run(1_000, samples, 10.0, 1.0, 50.0, VALKEY)


def test_growth_is_of_the_last_half() -> None:
    assert memory.growth(_run(0.0)) == 0.0
    middle, end = memory.edges(_run(10.0).samples, 1_000)
    assert (middle, end) == (302.5, 347.5)
    found = {row.name: row for row in memory.rows(_run(10.0))}
    grown, greatest = found["memory/worker, growth over the last 500"], found["memory/worker, greatest"]
    assert (grown.value, grown.holds) == (pytest.approx(14.88), False)
    assert (greatest.value, greatest.holds) == (350.0, True)


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(RuntimeError, match="samples between"):
        memory.edges([Sample(0, 300.0), Sample(1_000, 300.0)], 1_000)
