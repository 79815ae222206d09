"""The pipeline on which alerts are drilled: small, of steady distributions, with a feed, a monitor's window of seconds."""

from typing import Annotated

from msgspec import Meta

from streams import Category, Event, Freshness, Label, Last, Monitoring, Objectives, On, Pipeline, Raw

WINDOW_EVENTS = 300  # three seconds of a drill's traffic


class Order(Event, topic="drill.orders", key="user", id="id", time="at"):
    """What is scored."""

    id: str
    user: str
    shop: str
    channel: str
    amount: Annotated[float, Meta(ge=0, le=10_000)]
    at: float


class Quote(Event, topic="drill.quotes", key="shop", id="id", time="at"):
    """The feed: what a shop asks."""

    id: str
    shop: str
    price: Annotated[float, Meta(ge=0, le=10_000)]
    at: float


class Outcome(Event, topic="drill.outcomes", key="id", id="id", time="at"):
    """What became of an order; drills send none."""

    id: str
    returned: bool
    at: float


pipeline = Pipeline(
    name="drill",
    owner="drill-ml",
    team="drills",
    task="binary",
    score=Order,
    features=[
        Raw("amount"),
        Category("channel"),
        On(Order, by="user", fields={"amount": [Last]}, windows=["1h"]),
        # An order at a shop that never quoted is one that the model may not score: it becomes a failed event.
        On(Quote, by="shop", fields={"price": [Last]}, windows=["1h"], freshness=Freshness("1h", "refuse"), name="shop_quotes"),
    ],
    label=Label(Outcome, id="id", value=lambda outcome: outcome.returned, maturity="1s"),
    model="drill",
    shards=4,
    monitoring=Monitoring(
        window=WINDOW_EVENTS, minimum_events=100, decision_band=(0.02, 0.9), feed_ages={"shop_quotes": "45s"}, skew_share=0.0
    ),
    # Seconds that the rules' shortened windows do not shorten: what takes a process its time must be no breach by itself.
    objectives=Objectives(latency_seconds=5.0, lag_seconds=5.0),
)
