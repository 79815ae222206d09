"""Every alert there can be, and the tables that the docs have of them: of the code's alerts, names and thresholds."""

import re
from collections.abc import Iterator

from monitors.alerts import Alert, alerts
from monitors.alerts.burn import BUSY_EVENTS_PER_HOUR as BUSY
from monitors.alerts.burn import ESCALATE_RATE, PAGE_RATE, QUIET_BAD_EVENTS, QUIET_SHARE, TICKET_RATE
from monitors.alerts.drift import BLIND_DAYS, BLIND_ROWS, BREACHES
from monitors.alerts.lag import MONITOR_LAG_SECONDS, RETENTION_USED
from monitors.alerts.presence import KNOWN_EVENTS_PER_HOUR as KNOWN
from monitors.alerts.process import MEMORY_SHARE, REBALANCES, RESTARTS
from monitors.alerts.rule import duration
from monitors.objectives import Objectives
from tests.monitors.alerts.subjects import WHOLE

PROMISED = Objectives()  # the defaults


def burns(title: str, what: str) -> dict[str, str]:
    """The three alerts of a budget."""
    return {
        f"Tidegate{title}Burn": f"more than {PAGE_RATE} times the allowed share of {what} over 5m and 1h",
        f"Tidegate{title}BurnFast": f"more than {ESCALATE_RATE} times the allowed share of {what} over 5m and 1h",
        f"Tidegate{title}BurnSlow": f"more than {TICKET_RATE} times the allowed share of {what} over 6h and 3d",
    }


def quiet(title: str, what: str) -> dict[str, str]:
    """The page of few events."""
    many = f"{QUIET_BAD_EVENTS} {what} at least, and more than {QUIET_SHARE:.0%}, in 6h with fewer than {BUSY} events an hour"
    return {f"Tidegate{title}Quiet": many}


NOT_SCORED, SLOW = "events not scored as intended", "late events"
FIRES_WHEN = {
    "TidegateLagHigh": f"workers are more than {PROMISED.lag_seconds:g} s behind, and neither seconds nor records fell over 2m",
    "TidegateConsumerStalled": "a partition is `stalled` or `stopped`, which takes a minute of its own",
    "TidegateRetentionUsed": f"the oldest unread record has used more than {RETENTION_USED:.0%} of its topic's retention",
    "TidegateRecordsLost": "Kafka deleted records that no worker had read",
    "TidegateMonitorLag": f"the monitor is more than {MONITOR_LAG_SECONDS} s behind",
    **burns("Scoring", NOT_SCORED),
    **quiet("Scoring", NOT_SCORED),
    **burns("Latency", SLOW),
    **quiet("Latency", SLOW),
    "TidegateRejects": f"more than {PROMISED.rejected:.0%} of all records are refused over 5m",
    "TidegateDeadLetterReasonNew": "dead letters of the last hour have a reason not seen in the week before",
    "TidegateFeedFrozen": "a feed's last merge is older than its declared age, and no backlog drains",
    **burns("Freshness", "time without a fresh feed"),
    "TidegateModelVersionWrong": "a worker serves another version than the one deployed, or none",
    "TidegateModelLoadFailed": "a worker refused a version within 15m",
    "TidegateModelOld": f"the version was trained more than {PROMISED.model_age_days:g} days ago",
    "TidegateWorkerAbsent": "no worker answers Prometheus",
    "TidegateMonitorAbsent": "no monitor answers Prometheus",
    "TidegateLagAbsent": "no `tidegate lag` answers Prometheus",
    "TidegateKafkaSilent": "the last complete look of `tidegate lag` is more than 60 s ago",
    "TidegateStoreUnavailable": "Redis does not answer a worker",
    "TidegateWatchdog": "always",
    "TidegateVolumeLow": f"less than {PROMISED.volume:.0%} of the same hour last week, which had {KNOWN} events at least, "
    f"and workers not more than {PROMISED.lag_seconds:g} s behind",
    "TidegateTrafficStopped": f"no events over 5m, {KNOWN} an hour or more within the last 6h, and no last week to compare with",
    "TidegateFeatureDrift": "a feature's drift has the severity `ticket`",
    "TidegateDriftWithPredictions": "a feature and a column of the predictions are in drift, and no backlog drains",
    "TidegateDriftBurnSlow": burns("Drift", "features' windows in drift")["TidegateDriftBurnSlow"],
    "TidegateDriftBlind": f"more than {BLIND_ROWS:,} rows in {BLIND_DAYS}d, and no window that could be judged",
    "TidegateDecisionRate": f"the share of positive decisions is outside its declared band in {BREACHES} windows in a row",
    "TidegateQualityLow": f"less than {PROMISED.quality:.0%} of the last window's checks passed",
    "TidegateSkew": f"more than {PROMISED.skew:.0%} of a feature's served values differ offline",
    "TidegateMemoryHigh": f"a process has more than {MEMORY_SHARE:.0%} of its memory limit",
    "TidegateRestarts": f"a process was restarted more than {RESTARTS} times in 15m",
    "TidegateRebalances": f"a worker was assigned partitions more than {REBALANCES} times in 15m",
    "TidegateJobsBurnSlow": burns("Jobs", "failed runs of a job")["TidegateJobsBurnSlow"],
}


def whole_table() -> str:
    """docs/alerting.md's table: every alert, in the order of the rules."""
    rows = ["| alert | severity | fires when | for | family |", "|---|---|---|---|---|"]
    for one in alerts(WHOLE):
        waits = duration(one.after) if one.after else "at once"
        link = f"[{one.name}](runbooks/{one.family}.md#{one.name.lower()})"
        rows.append(f"| {link} | {one.severity} | {FIRES_WHEN[one.name]} | {waits} | {one.family} |")
    return "\n".join(rows)


def index() -> str:
    """docs/runbooks/README.md's table: every alert, by family."""
    rows = ["| alert | severity | says | family |", "|---|---|---|---|"]
    for one in sorted(alerts(WHOLE), key=lambda one: one.family):
        link = f"[{one.name}]({one.family}.md#{one.name.lower()})"
        rows.append(f"| {link} | {one.severity} | {said(one)} | [{one.family}]({one.family}.md) |")
    return "\n".join(rows)


def said(alert: Alert) -> str:
    """An alert's summary with its templates as a reader may: a value as …, a label by its name."""
    return re.sub(r"{{ \$labels\.(\w+) }}", r"*\1*", re.sub(r"{{ \$value[^}]*}}", "…", alert.summary))


def muting() -> Iterator[str]:
    """docs/alerting.md's table: what mutes what by name, of alerts that are not one family's."""
    yield from ("| while this fires | these are muted |", "|---|---|")
    found = alerts(WHOLE)
    for cause in found:
        if muted := [one.name for one in found if cause.name in one.muted_by]:
            yield f"| {cause.name} | {', '.join(muted)} |"
