"""What a pipeline declares of its monitoring. Nothing needs to be declared: the defaults suit most."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.definitions import seconds
from featurestore.errors import DefinitionError

AUTO = "auto"
FEED_AGE = "5m"  # where nothing is declared
EVENTS_MIN = 100  # below, a window of ten bins says next to nothing (../docs/decisions.md, "Drift")


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """How `tidegate monitor` watches a pipeline.

    ``window``: how much one judgement is about: a number of events; a stretch of event time such as "1h"; or "auto", a number of
    events chosen at training, so that autocorrelated features too have enough effective ones. Windows with fewer than
    ``minimum_events`` are `unknown`. ``lateness``: how long a window of time waits for events that are out of order.
    ``sample_above``: events a second above which a share of the events, by a hash of their id, stands for all.
    ``decision_band``: least and greatest share of positive decisions that is in order.
    ``feed_ages``: by group, how old its newest event may be when it is served, such as {"weather_by_origin": "2h"}; "5m" where
    nothing is declared. ``skew_share``: share of the entities whose features are computed again offline.
    """

    window: int | str = AUTO
    minimum_events: int = 200
    lateness: str = "1m"
    sample_above: float = 50_000.0
    decision_band: tuple[float, float] | None = None
    feed_ages: Mapping[str, str] = field(default_factory=dict)
    skew_share: float = 0.01

    def __post_init__(self) -> None:
        if isinstance(self.window, int) and self.window < EVENTS_MIN:
            raise DefinitionError(f"monitoring: a window of {self.window} events is too small; {EVENTS_MIN} at least")
        if self.minimum_events < 1 or self.sample_above <= 0:
            raise DefinitionError("monitoring: minimum_events must be 1 or more, sample_above more than 0")
        if self.decision_band is not None and not 0 <= self.decision_band[0] <= self.decision_band[1] <= 1:
            raise DefinitionError(f"monitoring: decision_band is {self.decision_band}; give two shares, the smaller first")
        if not 0 <= self.skew_share <= 1:
            raise DefinitionError(f"monitoring: skew_share is {self.skew_share}; give a share from 0 to 1")
        for text in (self.lateness, *self.feed_ages.values()):
            seconds(text)
        _ = self.window_seconds

    def feed_age_seconds(self, group: str) -> float:
        """How old the newest event of a feature group may be."""
        return float(seconds(self.feed_ages.get(group, FEED_AGE)))

    @property
    def window_events(self) -> int | None:
        """Events of a window; None where it is a stretch of time, or chosen at training."""
        return self.window if isinstance(self.window, int) else None

    @property
    def window_seconds(self) -> float | None:
        """Seconds of event time of a window; None where it is a number of events."""
        return seconds(self.window) if isinstance(self.window, str) and self.window != AUTO else None
