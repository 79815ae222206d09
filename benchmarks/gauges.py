"""A pipeline of 30 plain features, which the monitor is measured with: its served vectors can be made without a worker."""

import types
from dataclasses import replace
from typing import Annotated

from msgspec import Meta

from streams import Event, Label, Monitoring, Pipeline, Raw

FEATURES = tuple(f"gauge_{i:02d}" for i in range(30))


def _fields(namespace: dict[str, object]) -> None:
    number = Annotated[float, Meta(ge=-1e6, le=1e6)]
    namespace["__annotations__"] = {"id": str, "at": float, **dict.fromkeys(FEATURES, number)}
    namespace["__module__"] = __name__


Reading = types.new_class("Reading", (Event,), {"topic": "gauges.readings", "key": "id", "id": "id", "time": "at"}, _fields)


class Outcome(Event, topic="gauges.outcomes", key="id", id="id", time="at"):
    """What a reading was followed by."""

    id: str
    at: float
    failed: bool


pipeline = Pipeline(
    name="gauges",
    owner="benchmark",
    team="benchmark",
    task="binary",
    score=Reading,
    features=[Raw(name) for name in FEATURES],
    label=Label(Outcome, id="id", value=lambda outcome: outcome.failed, maturity="1h"),
    model="gauges",
    monitoring=Monitoring(window=1_000),
)

# Ten windows a second would be more than people or a topic want of a stream of 50,000 vectors a second.
busy = replace(pipeline, monitoring=Monitoring(window=10_000, sample_above=1e9))
