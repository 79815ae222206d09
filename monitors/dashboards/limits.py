"""From where on a panel turns red: what is declared or alerted on, never a guess. A panel without such a value has no colours.

A pipeline that declares other objectives than the defaults is alerted by its own; the lines here stay at the defaults.
"""

from monitors.alerts.burn import ESCALATE_RATE, PAGE_RATE
from monitors.alerts.drift import BREACHES
from monitors.alerts.lag import RETENTION_USED
from monitors.alerts.process import MEMORY_SHARE, REBALANCES, RESTARTS
from monitors.drift.detectable import EXCESS_ALARM
from monitors.objectives import Objectives

_declared = Objectives()

PSI_EXCESS = EXCESS_ALARM
LATENCY_SECONDS = _declared.latency_seconds
LAG_SECONDS = _declared.lag_seconds
VOLUME = _declared.volume  # share of the same hour last week
QUALITY = _declared.quality
SKEW = _declared.skew
MODEL_AGE_SECONDS = (_declared.model_age_days or 0.0) * 86_400.0
BURN_PAGE, BURN_ESCALATE = float(PAGE_RATE), float(ESCALATE_RATE)
RETENTION_GONE = 1.0  # records are deleted unread
LOOK_SECONDS = 60.0  # TidegateKafkaSilent

__all__ = [
    "BREACHES",
    "BURN_ESCALATE",
    "BURN_PAGE",
    "LAG_SECONDS",
    "LATENCY_SECONDS",
    "LOOK_SECONDS",
    "MEMORY_SHARE",
    "MODEL_AGE_SECONDS",
    "PSI_EXCESS",
    "QUALITY",
    "REBALANCES",
    "RESTARTS",
    "RETENTION_GONE",
    "RETENTION_USED",
    "SKEW",
    "VOLUME",
]
