"""A small world for the feature store's tests: three topics, groups of every kind, random events, chunks."""

import itertools
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from hypothesis import strategies as st
from msgspec import Meta

from featurestore.definitions import (
    Category,
    Count,
    Freshness,
    HourOfDay,
    Last,
    Max,
    Mean,
    Min,
    On,
    Rate,
    Ratio,
    Raw,
    SecondsSinceLast,
    Std,
    Sum,
)
from featurestore.events import Event, EventBatch, Source, contract
from featurestore.plan import FeaturePlan, compile_plan

Amount = Annotated[float, Meta(ge=0, le=10_000)]
START = 1_700_000_000.0


class Sale(Event, topic="sales", key="user", id="id", time="at"):
    id: str
    user: str | None
    shop: str
    amount: Amount
    at: float


class Refund(Event, topic="refunds", key="user", id="id", time="at"):
    id: str
    user: str | None
    shop: str
    amount: Amount | None
    at: float


EVERYTHING = [Sum, Mean, Std, Min, Max]
FEATURES = [
    On(Sale, by="user", fields={"amount": EVERYTHING}, aggregates=[Count], windows=["1m", "10m"]),
    On(Sale, by=("user", "shop"), fields={"amount": [Mean]}, windows=["2m"], tiles=4, lateness_tiles=0),
    On(Sale, by="shop", fields={"amount": [Max]}, aggregates=[Count], windows=["5m"], including_self=True, tiles=5),
    On(Refund, by="user", fields={"amount": [*EVERYTHING, Count]}, windows=["1m", "1h"]),
    On(Refund, by="shop", aggregates=[Count], windows=["30s"], tiles=3),
    On(
        Sale,
        by="user",
        fields={"amount": [Last, Rate]},
        aggregates=[Rate, SecondsSinceLast],
        windows=["1m", "10m"],
        tiles=6,
        name="pace",
    ),
    On(Refund, by="user", fields={"amount": [Max, Last]}, windows=["5m"], lateness_tiles=0, including_self=True, name="newest"),
    On(
        Refund,
        by="shop",
        fields={"amount": [Count, Sum, Mean]},
        aggregates=[Count],
        half_life="30s",
        freshness=Freshness("1m"),
        name="fading",
    ),
    On(
        Sale,
        by="shop",
        fields={"amount": [Mean, Last]},
        windows=["5m"],
        half_life="1m",
        freshness={"amount.last.5m": Freshness("10s"), "amount.decayed_mean.1m": Freshness("1m")},
        name="both",
    ),
    Raw("amount"),
    Category("shop"),
    HourOfDay("at"),
    Ratio("last_to_mean", "both.amount.last.5m", "fading.amount.decayed_mean.30s"),
    Ratio("amount_to_mean", "amount", "sale_by_user.amount.mean.10m"),
]
PLAN: FeaturePlan = compile_plan("world", Sale, FEATURES, shards=4)

USERS = st.sampled_from(["ann", "bob", "cem", "", None])
SHOPS = st.sampled_from(["baker", "a|b", "unknown"])
AMOUNTS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 9_999.99, 10_000.0]),
    st.floats(0, 10_000, allow_nan=False).map(lambda x: round(x, 2)),
)
# Few whole minutes among them, so that events of one time meet in one tile and only their positions tell them apart.
TIMES = st.one_of(st.integers(0, 5).map(lambda x: START + 60.0 * x), st.floats(0, 900, allow_nan=False).map(lambda x: START + x))
SALES = st.builds(Sale, id=st.just("s"), user=USERS, shop=SHOPS, amount=AMOUNTS, at=TIMES)
REFUNDS = st.builds(Refund, id=st.just("r"), user=USERS, shop=SHOPS, amount=st.none() | AMOUNTS, at=TIMES)


def batch(events: Sequence[Event], partition: int = 0, first_offset: int = 0) -> EventBatch:
    """The events as consecutive records of one partition."""
    kind = type(events[0])
    n = len(events)
    return EventBatch(
        event=kind,
        source=Source(contract(kind).topic, partition),
        offsets=np.arange(first_offset, first_offset + n, dtype=np.int64),
        ingested=np.full(n, START),
        times=np.array([event.at for event in events]),  # type: ignore[attr-defined]
        keys=[None] * n,
        events=list(events),
    )


def split(events: Sequence[Event], cuts: Sequence[int], partition: int = 0) -> list[EventBatch]:
    """The events as chunks: a cut before each position named."""
    edges = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    return [batch(events[a:b], partition, a) for a, b in itertools.pairwise(edges) if b > a]
