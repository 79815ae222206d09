"""From where on a panel turns red: what is declared or alerted on, never a guess. A panel without such a value has no colours.

A pipeline that declares other objectives than the defaults is alerted by its own; the lines here stay at the defaults.
"""

from monitors.drift.detectable import EXCESS_ALARM

PSI_EXCESS = EXCESS_ALARM
LATENCY_SECONDS = 0.2  # Objectives.latency_seconds
LAG_SECONDS = 60.0  # Objectives.lag_seconds
FEED_AGE_SECONDS = 300.0  # Monitoring.feed_ages, where nothing is declared
VOLUME = 0.2  # Objectives.volume: share of the same hour last week
REJECTED = 0.01  # Objectives.rejected
QUALITY = 0.95  # Objectives.quality
SKEW = 0.01  # Objectives.skew
MODEL_AGE_SECONDS = 90 * 86_400.0  # Objectives.model_age_days
BURN_PAGE, BURN_ESCALATE = 2.0, 5.0  # times faster than the budget allows: monitors.alerts
RETENTION_USED, RETENTION_GONE = 0.5, 1.0  # escalates; records are deleted unread
MEMORY_SHARE = 0.8  # TidegateMemoryHigh
RESTARTS = 2  # TidegateRestarts: more, in 15 minutes
REBALANCES = 10  # TidegateRebalances: more of one worker, in 15 minutes
BREACHES = 2  # TidegateDecisionRate: windows in a row
LOOK_SECONDS = 60.0  # TidegateKafkaSilent
