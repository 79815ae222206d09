"""Every aggregate equals a brute-force computation over the raw events; states do not depend on order."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore import kernel, offline
from featurestore.definitions import Aggregate, On, seconds
from featurestore.events import Event
from featurestore.layout import Grid, Group
from tests.featurestore.world import PLAN, REFUNDS, SALES, Sale, batch

GRID = Grid.of(0, 10_000)


def entity(event: Event, fields: tuple[str, ...], on: On) -> tuple[object, ...] | None:
    values = tuple(getattr(event, field) for field in fields)
    return None if any(value is None or value in on.missing for value in values) else values


def brute(group: Group, field: str, aggregate: Aggregate, window: str, seen: list[Event], scored: Sale) -> float:
    """The aggregate over the raw events in [floor(q - W, tile), q's tile], in exact arithmetic."""
    on, tile = group.on, seconds(window) / group.on.tiles
    mine = entity(scored, group.read_by, on)
    if mine is None:
        return math.nan
    last = math.floor(scored.at / tile)
    inside = [
        event
        for event in seen
        if entity(event, group.by, on) == mine and last - on.tiles <= math.floor(event.at / tile) <= last  # type: ignore[attr-defined]
    ]
    if not field:
        return float(len(inside))
    values = [getattr(event, field) for event in inside if getattr(event, field) is not None]
    if aggregate is Aggregate.COUNT:
        return float(len(values))
    if aggregate is Aggregate.SUM:
        return math.fsum(values)
    if not values:
        return math.nan
    compute = {Aggregate.MEAN: np.mean, Aggregate.STD: np.std, Aggregate.MIN: np.min, Aggregate.MAX: np.max}
    return float(compute[aggregate](values))


def expected(scored: Sale, before: list[Event]) -> dict[str, float]:
    out = {}
    for reads in PLAN.reads:
        group, on = reads.group, reads.group.on
        seen = [event for event in before if type(event) is on.event]
        if on.including_self:
            seen = [*seen, scored]
        wanted = [("", aggregate) for aggregate in on.aggregates] + [(f, a) for f, many in on.fields.items() for a in many]
        for window in on.windows:
            for field, aggregate in wanted:
                name = ".".join(part for part in (group.name, field, aggregate.value, window) if part)
                out[name] = brute(group, field, aggregate, window, seen, scored)
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(SALES, min_size=1, max_size=30), st.lists(REFUNDS, max_size=15))
def test_every_aggregate_equals_brute_force(sales: list[Sale], refunds: list[Event]) -> None:
    batches = [batch(sales)] + ([batch(refunds)] if refunds else [])
    history = offline.compute(PLAN, batches)
    order = offline.reference_order(batches)
    everything = [*sales, *refunds]
    names = PLAN.schema.names
    row = 0
    for position, at in enumerate(order):
        scored = everything[at]
        if not isinstance(scored, Sale):
            continue
        vector = dict(zip(names, history.served.vectors[row], strict=True))
        for name, value in expected(scored, [everything[i] for i in order[:position]]).items():
            if ".std." in name:
                assert vector[name] ** 2 == pytest.approx(value**2, abs=GRID.square_step, nan_ok=True), name
            else:
                assert vector[name] == pytest.approx(value, abs=30 * GRID.step, nan_ok=True), name
        assert vector["amount"] == scored.amount
        row += 1


@settings(max_examples=60, deadline=None)
@given(st.lists(SALES, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_final_states_are_a_function_of_the_set_of_events(sales: list[Sale], shuffler: random.Random) -> None:
    """Whatever the order, every byte is the same: sums are exact, and tiles leave the ring by event time alone."""
    shuffled = list(sales)
    shuffler.shuffle(shuffled)
    for group in PLAN.written_by("sales"):
        assert accumulated(group, sales) == accumulated(group, shuffled)


@settings(max_examples=60, deadline=None)
@given(st.lists(SALES, min_size=1, max_size=40), st.integers(0, 40))
def test_merging_deltas_equals_applying_events(sales: list[Sale], cut: int) -> None:
    for group in PLAN.written_by("sales"):
        first, second = state(group, sales[:cut]), state(group, sales[cut:])
        whole = state(group, sales).tobytes()
        for a, b in ((first, second), (second, first)):
            merged = a.copy()
            kernel.merge(merged, b, group.rings, group.starts, group.ops, group.leaders)
            assert merged.tobytes() == whole


def state(group: Group, sales: list[Sale]) -> np.ndarray:  # type: ignore[type-arg]
    """One state holding all events, as if they were of one entity."""
    states = group.empty.copy().reshape(1, -1)
    if sales:
        events = batch(sales)
        writers = np.zeros(len(events), dtype=np.int64)
        kernel.accumulate(
            states, writers, events.times, group.contributions(events),
            group.tile_seconds, group.rings, group.starts, group.ops, group.leaders,
        )  # fmt: skip
    return states[0]


def accumulated(group: Group, sales: list[Sale]) -> bytes:
    return state(group, sales).tobytes()


def test_a_late_event_is_flagged_when_its_window_has_gone() -> None:
    def sale(at: float) -> Sale:
        return Sale(id="x", user="ann", shop="baker", amount=1.0, at=at)

    ahead = [sale(10_000.0), sale(10_000.0 - 11.0), sale(10_000.0 - 30.0)]  # one-minute window, tiles of 5 s, 2 tiles of lateness
    late = lateness(ahead)
    assert late == [False, True, True]  # the (user, shop) group allows no lateness: 11 s is past its tile of 30 s boundary


def lateness(sales: list[Sale]) -> list[bool]:
    """Flags in the order given, as a worker sees them: through the kernel, not sorted by time."""
    from featurestore.compute import group_chunk, serve

    events = batch(sales)
    chunks = [group_chunk(PLAN, group, events) for group in PLAN.groups]
    states = [np.tile(chunk.group.empty, (len(chunk.entities), 1)) for chunk in chunks]
    applies = [np.ones(len(events), dtype=np.bool_)] * len(chunks)
    return serve(PLAN, events, chunks, states, applies).late.tolist()
