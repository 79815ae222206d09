"""What a pipeline promises: its service level objectives, and from where on an alert is due. The rules are monitors.alerts'."""

from dataclasses import dataclass

from monitors.errors import ObjectiveError

SHARES = ("scored", "fast", "fresh", "undrifted", "jobs")
# These page at twice and again at five times what they allow: of 0.8 that would be more than all events.
BURNING, BURNING_LEAST = ("scored", "fast", "fresh"), 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Shares are over 30 days, from 0 to 1; None drops an objective with its alerts. The defaults suit most.

    ``scored``: events that the intended model scored with all features. Records refused for one of ``producer_errors`` (reasons
    of dead letters) are their producers' fault and left out; above ``rejected`` of all they page by themselves. ``fast``: events
    whose prediction was published within ``latency_seconds`` of the broker's timestamp (a bucket of tidegate_end_to_end_seconds).
    ``fresh``: time in which each feed's last merge was younger than declared (Monitoring.feed_ages). ``undrifted``: windows of a
    feature that are not in drift. ``jobs``: runs of training and backfill that succeed.

    Alerts beside them: ``lag_seconds`` behind and not falling; less than ``volume`` of the same hour last week; a data quality
    score below ``quality``; more than ``skew`` of a feature's served values differ offline; a model older than
    ``model_age_days``.
    """

    scored: float | None = 0.999
    producer_errors: tuple[str, ...] = ("empty", "malformed", "contract", "time", "future", "oversize")
    rejected: float = 0.01
    fast: float | None = 0.95
    latency_seconds: float = 0.2
    fresh: float | None = 0.99
    undrifted: float | None = 0.95
    jobs: float | None = 0.999
    lag_seconds: float = 60.0
    volume: float = 0.2
    quality: float = 0.95
    skew: float = 0.01
    model_age_days: float | None = 90.0

    def __post_init__(self) -> None:
        for name in SHARES:
            share = getattr(self, name)
            least = BURNING_LEAST if name in BURNING else 0
            if share is not None and not least < share < 1:
                raise ObjectiveError(f"objectives: {name} is {share}; give one above {least:g} and below 1, or None to drop it")
        for name in ("rejected", "skew"):
            if not 0 <= getattr(self, name) < 1:
                raise ObjectiveError(f"objectives: {name} is {getattr(self, name)}; give a share from 0 to below 1")
        for name in ("volume", "quality"):
            if not 0 < getattr(self, name) <= 1:
                raise ObjectiveError(f"objectives: {name} is {getattr(self, name)}; give a share above 0, 1 at most")
        above_zero = (self.latency_seconds, self.lag_seconds, 1 if self.model_age_days is None else self.model_age_days)
        if not all(value > 0 for value in above_zero):
            raise ObjectiveError("objectives: latency_seconds, lag_seconds and model_age_days must be more than 0")
