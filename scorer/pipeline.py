"""A pipeline: which event is scored, from which features, against which label. What users declare, with no behaviour."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from featurestore.definitions import Feature
from featurestore.events import Event

Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True, slots=True)
class Label:
    """Where the truth comes from: an event that carries the scored event's id, later.

    ``value`` computes the label from one event (binary: False or True; None: this event says nothing, the pair is left out).
    ``maturity`` is how long after the scored event's time labels are still waited for, such as "12h".
    """

    event: type[Event]
    id: str
    value: Callable[[Any], float | bool | None]
    maturity: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One scoring job: events in, predictions out.

    ``model`` names the registered model; ``threshold`` turns a binary score into a decision.
    """

    name: str
    owner: str
    team: str
    task: Task
    score: type[Event]
    features: Sequence[Feature]
    label: Label
    model: str
    threshold: float = 0.5
    shards: int = 16
    future_skew_seconds: float = 300.0
