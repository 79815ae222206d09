"""A pipeline: which event is scored, from which features, against which label. What users declare, with no behaviour."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

from featurestore.definitions import Feature
from featurestore.errors import DefinitionError
from featurestore.events import Event
from monitors.objectives import Objectives
from scorer.monitoring import Monitoring

Task = Literal["binary", "multiclass", "regression"]
# It becomes part of topics, Redis keys, consumer groups, files and PromQL.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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

    ``on_store_unavailable``: while Redis is away, "pause" consumes nothing; "degrade" scores without the features that
    it holds, once it has not answered for ``degrade_after_seconds``, and pauses when ``degrade_max_events`` wait to be merged.

    ``cost_usd_per_hour``: what one worker costs an hour, in US dollars; a worker counts it up as `tidegate_cost_usd_total`.
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
    on_store_unavailable: Literal["pause", "degrade"] = "pause"
    degrade_after_seconds: float = 2.0
    degrade_max_events: int = 100_000
    monitoring: Monitoring = field(default_factory=Monitoring)
    objectives: Objectives = field(default_factory=Objectives)
    cost_usd_per_hour: float | None = None

    def __post_init__(self) -> None:
        self._check_names()
        if self.on_store_unavailable not in ("pause", "degrade"):
            raise DefinitionError(f'on_store_unavailable is {self.on_store_unavailable!r}; choose "pause" or "degrade"')
        if not (self.degrade_after_seconds > 0 and self.degrade_max_events >= 0):
            raise DefinitionError("degrade_after_seconds must be more than 0, degrade_max_events 0 or more")
        if self.cost_usd_per_hour is not None and not 0 < self.cost_usd_per_hour < inf:
            raise DefinitionError(
                f"cost_usd_per_hour is {self.cost_usd_per_hour}; give what one worker costs an hour, more than 0"
            )

    def _check_names(self) -> None:
        for what, text in (("name", self.name), ("team", self.team)):
            if not NAME.fullmatch(text) and (what == "name" or text):  # `tidegate doctor --production` asks for the team
                raise DefinitionError(
                    f"the pipeline's {what} is {text!r}; use letters, digits, '.', '_' and '-', 100 at most, "
                    "beginning with a letter or digit"
                )
        if "{{" in self.owner or not self.owner.isprintable():  # it is a label of alerts, and Prometheus expands templates there
            raise DefinitionError(f"the pipeline's owner is {self.owner!r}; give a name or address on one line, without '{{{{'")
