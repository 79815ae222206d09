"""Every aggregate equals a brute-force computation over the raw events; states do not depend on order."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from featurestore import kernel, offline
from featurestore.definitions import DECAYED, Aggregate, Mean, On, Std, seconds
from featurestore.events import Event, Floats
from featurestore.freshness import STATES
from featurestore.layout import Grid, Group
from featurestore.plan import compile_plan
from tests.featurestore.world import PLAN, REFUNDS, SALES, Sale, batch

GRID = Grid.of(0, 10_000)


def entity(event: Event, fields: tuple[str, ...], on: On) -> tuple[object, ...] | None:
    values = tuple(getattr(event, field) for field in fields)
    return None if any(value is None or value in on.missing for value in values) else values


def inside(group: Group, tile: float, tiles: int, seen: list[Any], scored: Sale) -> list[Any]:
    """The scored event's entity's events in the tiles from that of q - W to that of q, with q the scored event's time."""
    mine, last = entity(scored, group.read_by, group.on), math.floor(scored.at / tile)
    return [
        event
        for event in seen
        if entity(event, group.by, group.on) == mine and last - tiles <= math.floor(event.at / tile) <= last
    ]


def brute(group: Group, field: str, aggregate: Aggregate, window: str, seen: list[Any], scored: Sale) -> float:
    """The aggregate over the raw events of the window, `seen` being in reference order, in exact arithmetic."""
    events = inside(group, seconds(window) / group.on.tiles, group.on.tiles, seen, scored)
    if aggregate is Aggregate.SECONDS_SINCE_LAST:
        return max(0.0, scored.at - max(event.at for event in events)) if events else math.nan
    if not field:
        return len(events) / (seconds(window) if aggregate is Aggregate.RATE else 1)
    values = [getattr(event, field) for event in events if getattr(event, field) is not None]
    if aggregate is Aggregate.COUNT:
        return float(len(values))
    if aggregate in (Aggregate.SUM, Aggregate.RATE):
        return math.fsum(values) / (seconds(window) if aggregate is Aggregate.RATE else 1)
    if not values:
        return math.nan
    if aggregate is Aggregate.LAST:
        return float(values[-1])
    compute = {Aggregate.MEAN: np.mean, Aggregate.STD: np.std, Aggregate.MIN: np.min, Aggregate.MAX: np.max}
    return float(compute[aggregate](values))


def decayed(group: Group, field: str, aggregate: Aggregate, seen: list[Any], scored: Sale) -> float:
    """The aggregate over the raw events of 8 half-lives, each weighted by its age in quarters of a half-life."""
    tile = seconds(str(group.on.half_life)) / 4
    events = [event for event in inside(group, tile, 32, seen, scored) if not field or getattr(event, field) is not None]
    weights = [2 ** (-(math.floor(scored.at / tile) - math.floor(event.at / tile)) / 4) for event in events]
    count = math.fsum(weights)
    if aggregate is Aggregate.COUNT:
        return count
    total = math.fsum(weight * getattr(event, field) for weight, event in zip(weights, events, strict=True))
    if aggregate is Aggregate.SUM:
        return total
    return total / count if count else math.nan


def judged(group: Group, name: str, value: float, seen: list[Any], scored: Sale) -> tuple[float, str]:
    """What is served for a value, and its state."""
    declared = group.on.freshness
    policy = declared.get(name) if isinstance(declared, Mapping) else declared
    mine = [event.at for event in seen if entity(event, group.by, group.on) == entity(scored, group.read_by, group.on)]
    age = max(0.0, scored.at - max(mine)) if mine else math.nan
    if policy is not None and age > seconds(policy.max_age):
        state = "stale"
    else:
        state = "missing" if math.isnan(value) or (policy is not None and math.isnan(age)) else "fresh"
    if policy is None or state == "fresh":
        return value, state
    assert policy.otherwise != "refuse"
    return math.nan if policy.otherwise == "null" else float(policy.otherwise), state


def expected(scored: Sale, before: list[Any]) -> dict[str, tuple[float, str]]:
    """Value and state of every column that a group fills."""
    out = {}
    for group in PLAN.groups:
        on = group.on
        seen = [event for event in before if type(event) is on.event]
        if on.including_self and on.event is Sale:
            seen = [*seen, scored]
        known = entity(scored, group.read_by, on) is not None
        wanted = [("", aggregate) for aggregate in on.aggregates] + [(f, a) for f, many in on.fields.items() for a in many]
        for field, aggregate in wanted:
            values = {f"{aggregate.value}.{w}": brute(group, field, aggregate, w, seen, scored) for w in on.windows if known}
            values |= {f"{aggregate.value}.{w}": math.nan for w in on.windows if not known}
            if on.half_life and aggregate in DECAYED:
                value = decayed(group, field, aggregate, seen, scored) if known else math.nan
                values[f"decayed_{aggregate.value}.{on.half_life}"] = value
            for rest, value in values.items():
                name = f"{field}.{rest}" if field else rest
                out[f"{group.name}.{name}"] = judged(group, name, value, seen if known else [], scored)
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
        assert history.served.marks is not None
        vector = dict(zip(names, history.served.vectors[row], strict=True))
        states = dict(zip(names, [STATES[mark] for mark in history.served.marks[row]], strict=True))
        found = expected(scored, [everything[i] for i in order[:position]])
        assert set(found) < set(names)
        for name, (value, state_) in found.items():
            assert states[name] == state_, name
            if ".std." in name:
                assert vector[name] ** 2 == pytest.approx(value**2, abs=GRID.square_step, nan_ok=True), name
            else:
                assert vector[name] == pytest.approx(value, abs=30 * GRID.step, nan_ok=True), name
        assert vector["amount"] == scored.amount
        assert history.served.stale[row] == any(state_ == "stale" for _, state_ in found.values())
        assert not history.served.refused[row]
        row += 1


@settings(max_examples=60, deadline=None)
@given(st.lists(SALES, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_final_states_are_a_function_of_the_set_of_events(sales: list[Sale], shuffler: random.Random) -> None:
    """Whatever the order, every byte is the same: sums are exact, tiles leave the ring by event time alone, and the newest
    event is known by its position."""
    rows = list(range(len(sales)))
    shuffler.shuffle(rows)
    for group in PLAN.written_by("sales"):
        assert state(group, sales, range(len(sales))).tobytes() == state(group, sales, rows).tobytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(SALES, min_size=1, max_size=40), st.integers(0, 40))
def test_merging_deltas_equals_applying_events(sales: list[Sale], cut: int) -> None:
    everything = range(len(sales))
    for group in PLAN.written_by("sales"):
        first, second = state(group, sales, everything[:cut]), state(group, sales, everything[cut:])
        whole = state(group, sales, everything).tobytes()
        for a, b in ((first, second), (second, first)):
            merged = a.copy()
            kernel.merge(merged, b, group.rings, group.starts, group.ops, group.leaders)
            assert merged.tobytes() == whole


def state(group: Group, sales: list[Sale], rows: Sequence[int]) -> Floats:
    """One state holding these of the events, in this order, as if they were of one entity."""
    states, events, order = group.empty.copy().reshape(1, -1), batch(sales), np.array(rows, dtype=np.int64)
    writers = np.zeros(len(order), dtype=np.int64)
    kernel.accumulate(
        states, writers, events.times[order], group.contributions(events)[order],
        group.tile_seconds, group.rings, group.starts, group.ops, group.leaders,
    )  # fmt: skip
    return states[0]


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


class Reading(Event, topic="readings", key="sensor", id="id", time="at"):
    id: str
    sensor: str
    level: Annotated[float, Meta(ge=1e9 - 10, le=1e9 + 10)]
    at: float


def test_a_deviation_of_one_around_a_thousand_million_is_kept() -> None:
    """The textbook's sums of squares cannot: 1e18 and 1e18 + 1 are one double."""
    plan = compile_plan("sensors", Reading, [On(Reading, by="sensor", fields={"level": [Mean, Std]}, windows=["1h"])], shards=4)
    readings = [Reading(str(i), "s", 1e9 + (-1) ** i, 1_000.0 + i) for i in range(1_001)]
    served = offline.compute(plan, [batch(readings)]).served
    mean, std = served.vectors[-1]
    assert (mean, std) == (pytest.approx(1e9, abs=1e-6), pytest.approx(1.0, rel=1e-4))
