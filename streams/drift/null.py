"""How large PSI is by chance alone in a window of this size, to be drawn beside what was measured. Verdicts are the monitor's."""

from dataclasses import dataclass

from scipy.stats import chi2

from monitors.drift.detectable import EXCESS_ALARM
from streams.monitor.records import FeatureDrift

SHARE = 0.99  # of windows without drift that lie below: the counterpart of the alarm's q < 0.01


@dataclass(frozen=True, slots=True)
class Chance:
    """PSI without drift: `high` is what 99 of 100 windows stay below; an alarm takes more than `alarm`, and more than `high`."""

    mean: float
    high: float
    alarm: float


def chance(one: FeatureDrift) -> Chance | None:
    """What chance makes of a window of so many effective events against m; None where the record does not say.

    PSI ~ (1/n + 1/m) chi2 with one degree of freedom less than bins, for independent events; autocorrelated ones count as fewer,
    which is what effective_n is. The monitor's own null is fitted to held-out chunks of the reference: this one is near it.
    """
    if one.psi is None or one.psi_excess is None or one.m == 0 or len(one.bins) < 2:
        return None
    n = one.effective_n or float(one.n)
    if n <= 0:
        return None
    mean = one.psi - one.psi_excess
    high = (1 / n + 1 / one.m) * float(chi2.ppf(SHARE, len(one.bins) - 1))
    return Chance(mean, high, max(high, mean + EXCESS_ALARM))
