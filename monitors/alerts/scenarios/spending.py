"""What spends an error budget."""

from monitors.alerts.burn import ESCALATE_RATE, PAGE_RATE
from monitors.alerts.scenarios.healthy import EVENTS_PER_MINUTE
from monitors.alerts.scenarios.series import Values, counts


class Spending:
    """Multiples of what an objective allows; all of the events at most. ``spent`` is None where there is no objective."""

    def __init__(self, share: float | None) -> None:
        self.spent = None if share is None else round(1 - share, 9)

    def share(self, times: float) -> float:
        """The share of events that is so many times the budget."""
        return min(1.0, times * (self.spent or 0))

    def percent(self, times: float) -> str:
        return f"{100 * self.share(times):.3g} %"

    def bad(self, *phases: tuple[float, float]) -> Values:
        """The bad events, so many times the budget until each minute."""
        return counts(*((until, self.share(times) * EVENTS_PER_MINUTE) for until, times in phases))

    def good(self, *phases: tuple[float, float]) -> Values:
        """The other events."""
        return counts(*((until, (1 - self.share(times)) * EVENTS_PER_MINUTE) for until, times in phases))

    def paged(self, title: str, share: float) -> list[str]:
        """The pages of an hour in which such a share was bad."""
        rates = {"Burn": PAGE_RATE, "BurnFast": ESCALATE_RATE}
        return [f"Tidegate{title}{suffix}" for suffix, rate in rates.items() if self.spent and share > rate * self.spent]
