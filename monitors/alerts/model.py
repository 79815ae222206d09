"""Whether the model that serves is the one that should, and young enough."""

from monitors.alerts.rule import DAY, MINUTE, Alert, Rule, Timing
from monitors.alerts.subject import DEBUG, ON_CALL, Subject

# From a deployment's record until workers must have it; and how long a breach lasts before it pages.
GRACE, BREACH = MINUTE, MINUTE
