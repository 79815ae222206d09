"""The pipeline that faults are put into: small, with several entities, two topics, and a witness of order.

The group `place` is the witness. Its entity is the partition's own name and its window longer than any run, so that the
count in a served vector says how many events of its own partition that vector had seen.
"""

import dataclasses
import json
import os
from typing import Annotated, Any

from msgspec import Meta

from streams import Category, Count, Event, Label, Last, Max, Mean, Min, On, Pipeline, Rate, Raw, SecondsSinceLast, Std, Sum

OPTIONS = "TIDEGATE_FAULTS_PIPELINE"  # fields of the Pipeline to replace, as JSON; worker processes read it
CARDS, SHOPS = 2_000, 200
AMOUNT_MOST = 10_000.0


class Scored(Event, topic="faults.scored", key="card", id="id", time="at"):
    """What is scored."""

    id: str  # "e" and a number that no other event has
    at: float
    place: str  # "p" and the partition that it is sent to
    card: str
    shop: str
    channel: str
    amount: Annotated[float, Meta(ge=0, le=AMOUNT_MOST)]


class Fed(Event, topic="faults.fed", key="shop", id="id", time="at"):
    """What only feeds features."""

    id: str
    at: float
    shop: str
    weight: Annotated[float, Meta(ge=-100, le=100)]


class Truth(Event, topic="faults.truths", key="id", id="id", time="at"):
    """What became of an event; nobody sends any here."""

    id: str
    at: float
    bad: bool


PLACE = "place"
WITNESS = "place.count.52w"  # the feature's name
WINDOWS = ("1m", "10m")

pipeline = Pipeline(
    name="faults",
    owner="tidegate",
    team="tests",
    task="binary",
    score=Scored,
    features=[
        Raw("amount"),
        Category("channel"),
        On(
            Scored,
            by="card",
            aggregates=[Count, SecondsSinceLast],
            fields={"amount": (Sum, Mean, Std, Min, Max, Last)},
            windows=WINDOWS,
        ),
        On(Scored, by=("card", "shop"), aggregates=[Count], fields={"amount": (Mean,)}, windows=("10m",)),
        On(
            Fed,
            by="shop",
            aggregates=[Count, Rate],
            fields={"weight": (Sum, Min, Max, Last)},
            windows=WINDOWS,
            half_life="30s",
            name="shop_fed",
        ),
        On(Scored, by="place", aggregates=[Count], windows=("52w",), name=PLACE),
    ],
    label=Label(Truth, id="id", value=lambda truth: truth.bad, maturity="1h"),
    model="faults",
)


def with_options(options: dict[str, Any]) -> Pipeline:
    """The pipeline with other settings, such as on_store_unavailable="degrade"."""
    return dataclasses.replace(pipeline, **options)


def from_environment() -> Pipeline:
    return with_options(json.loads(os.environ.get(OPTIONS) or "{}"))
