"""Panels on consumer groups: how far they are behind and whether they move. They are on the on-call dashboard."""

from monitors.dashboards.board import Panel
from monitors.dashboards.colours import BLUE, GREEN, GREY, ORANGE, RED, YELLOW, bad_above
from monitors.dashboards.limits import LAG_SECONDS, REBALANCES, RETENTION_GONE, RETENTION_USED
from monitors.dashboards.looks import graph, timeline
from monitors.dashboards.series import GROUPS, THIS, Line
from monitors.lag import CODES, Status

STATUS_COLOURS = {
    Status.UNKNOWN: GREY,
    Status.OK: GREEN,
    Status.FALLING_BEHIND: YELLOW,
    Status.REWOUND: BLUE,
    Status.STALLED: ORANGE,
    Status.STOPPED: RED,
}
STATUSES = {code: (status.value.replace("_", " "), STATUS_COLOURS[status]) for status, code in CODES.items()}


def behind() -> tuple[Panel, ...]:
    return (
        Panel(
            "Lag in seconds",
            "Age of the oldest event that is not scored, by group and topic; the group .monitor is tidegate monitor.",
            "below a second.",
            "falling: a backlog drains, wait. Rising: start workers, then Tidegate debug, Stage latencies. Level: Consumer "
            "status.",
            graph(
                "s",
                Line(f"max by (group, topic) (tidegate_consumer_lag_seconds{{{GROUPS}}})", "{{group}} {{topic}}"),
                limits=bad_above(LAG_SECONDS),
            ),
            runbook="lag",
        ),
        Panel(
            "Consumer status",
            "The worst partition of each group and topic.",
            "ok, also while a backlog drains.",
            "stalled: a worker has it and does not move, restart that one. stopped: no worker has it, see Processes. Which "
            "partition: tidegate lag --once.",
            timeline(STATUSES, Line(f"max by (group, topic) (tidegate_consumer_lag_status{{{GROUPS}}})", "{{group}} {{topic}}")),
            runbook="lag",
        ),
        Panel(
            "Retention used",
            "How far the oldest event that is not scored is on its way to being deleted.",
            "near 0.",
            "above 50 % raise the topic's retention.ms first and mend the workers then; at 100 % Kafka deletes what nobody "
            "scored.",
            graph(
                "percentunit",
                Line(f"max by (group, topic) (tidegate_consumer_retention_used_ratio{{{GROUPS}}})", "{{group}} {{topic}}"),
                limits=bad_above(RETENTION_USED, RETENTION_GONE),
            ),
            runbook="lag",
        ),
    )


def trouble() -> tuple[Panel, ...]:
    return (
        Panel(
            "Lost records",
            "Records that Kafka deleted before the group read them; it falls to 0 once the group has gone on.",
            "0.",
            "they are gone from the topic: ask the source to send them again, and raise retention.ms.",
            graph(
                "none",
                Line(f"sum by (group, topic) (tidegate_consumer_lost_records{{{GROUPS}}})", "{{group}} {{topic}}"),
                limits=bad_above(1),
            ),
            runbook="lag",
        ),
        Panel(
            "Rebalances",
            "Assignments of partitions to each worker in the last 15 minutes.",
            "a few after a start or a deployment, else none.",
            "a worker comes and goes, see Restarts; or is too busy to answer the broker, see Tidegate debug, Chunk size.",
            graph(
                "none",
                Line(f"sum by (instance) (increase(tidegate_rebalances_total{{{THIS}}}[15m]))", "{{instance}}"),
                limits=bad_above(REBALANCES),
            ),
            runbook="process",
        ),
        Panel(
            "Failed looks of the lag monitor",
            "Looks in a row that Kafka did not answer in full, for all pipelines.",
            "0.",
            "Kafka is away or too slow, and what this row shows is as of the last look.",
            graph("none", Line("max(tidegate_lag_failed_looks)", "failed looks in a row"), limits=bad_above(1)),
            runbook="presence",
        ),
    )
