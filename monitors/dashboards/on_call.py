"""The on-call dashboard: what is wrong, since when, where. For who was woken; alerts name its panels."""

from monitors.dashboards import consumers
from monitors.dashboards.board import SERVING, Board, Panel, Row
from monitors.dashboards.colours import BLUE, GREEN, ORANGE, RED, YELLOW, bad_above, bad_below
from monitors.dashboards.firing import firing
from monitors.dashboards.limits import (
    BREACHES,
    BURN_ESCALATE,
    BURN_PAGE,
    LATENCY_SECONDS,
    LOOK_SECONDS,
    MEMORY_SHARE,
    RESTARTS,
    VOLUME,
)
from monitors.dashboards.looks import graph, number, timeline
from monitors.dashboards.series import PROCESSES, THIS, Line, last, quantile, rate

OUTCOMES = {"scored": GREEN, "degraded": YELLOW, "fallback": ORANGE, "rejected": BLUE, "failed": RED}
REDIS = {0: ("answers", GREEN), 1: ("does not answer", RED)}


def on_call(runbooks: str) -> Board:
    return Board(
        uid="tidegate-on-call",
        title="Tidegate on-call",
        purpose="What is wrong, since when, where: for who was woken. Alerts name its panels. Next: debug.",
        since="now-3h",
        rows=(
            Row("What is wrong", _wrong(runbooks)),
            Row("Traffic", (*_events(), *_answers())),
            Row("Consumers", (*consumers.behind(), *consumers.trouble())),
            Row("Feeds and model", _feeds()),
            Row("Processes and servers", (*_processes(), *_servers())),
        ),
    )


def _wrong(runbooks: str) -> tuple[Panel, ...]:
    return (
        Panel(
            "Alerts",
            "The alerts that fire, the most severe first.",
            "none.",
            "begin with the uppermost, in the section of its name in the runbook. Absent processes and Redis come before what "
            "follows from them. Empty is good only where Tidegate executive, Health knows of rules.",
            firing(runbooks),
        ),
        Panel(
            "Budget burn",
            "How many times faster than its 30 days allow each budget is used up.",
            "below 1.",
            "above 2 over both 5 minutes and 1 hour pages, above 5 escalates. The panel of the objective that burns is next: "
            "Events by outcome, Latency p95 and p99, Feed age.",
            graph(
                "suffix:x",
                Line(f"tidegate:burn:rate_5m{{{THIS}}}", "{{slo}}, 5 minutes"),
                Line(f"tidegate:burn:rate_1h{{{THIS}}}", "{{slo}}, 1 hour"),
                limits=bad_above(BURN_PAGE, BURN_ESCALATE),
                dashed=["/5 minutes$/"],
                span=24,
            ),
            runbook="scoring",
        ),
    )


def _events() -> tuple[Panel, ...]:
    return (
        Panel(
            "Events by outcome",
            "Events a second by what became of them.",
            "all scored.",
            "degraded: features missing or stale, see Redis and Feed age. fallback: no model, see Model versions. rejected: "
            "producers, see Dead letters by reason. failed: ours, see the worker's log.",
            graph("eps", Line(rate("tidegate_events_total", "outcome"), "{{outcome}}"), stacked=True, colours=OUTCOMES),
            runbook="scoring",
        ),
        Panel(
            "Latency p95 and p99",
            "From an event's arrival at the broker to its prediction published.",
            "p95 below the dashed line, 200 ms by default.",
            "Lag in seconds tells whether a backlog drains; else Tidegate debug, Stage latencies tells which stage.",
            graph(
                "s",
                Line(quantile(0.95, "tidegate_end_to_end_seconds"), "p95"),
                Line(quantile(0.99, "tidegate_end_to_end_seconds"), "p99"),
                limits=bad_above(LATENCY_SECONDS),
            ),
            runbook="latency",
        ),
        Panel(
            "Volume against last week",
            "Events by those of the same hour last week.",
            "about 100 %.",
            "red: upstream sends nothing or too little, ask there; Lag in seconds tells whether it is us. Empty until "
            "Prometheus remembers a week.",
            graph("percentunit", Line(f"tidegate:volume_vs_last_week:ratio{{{THIS}}}", "of last week"), limits=bad_below(VOLUME)),
            runbook="traffic",
        ),
    )


def _answers() -> tuple[Panel, ...]:
    return (
        Panel(
            "Dead letters by reason",
            "Records a second that could not be scored, by reason.",
            "none.",
            "tidegate dlq list names field and expectation; what is mended goes back with tidegate dlq replay.",
            graph("eps", Line(rate("tidegate_dead_letters_total", "reason"), "{{reason}}"), stacked=True),
            runbook="contract",
        ),
        Panel(
            "Decision rate",
            "Share of positive decisions in the monitor's last window.",
            "within the declared band.",
            "was there a deployment (blue mark)? Then Model versions; else Tidegate debug, PSI by feature.",
            graph("percentunit", Line(last("tidegate_decision_rate"), "positive decisions")),
            runbook="drift",
        ),
        Panel(
            "Windows outside the decision band",
            "Windows in a row whose decision rate was outside the declared band.",
            "0.",
            "2 page; Decision rate tells in which direction. Empty: declare Monitoring(decision_band=...).",
            graph("none", Line(last("tidegate_decision_rate_breaches"), "windows in a row"), limits=bad_above(BREACHES)),
            runbook="drift",
        ),
    )


def _feeds() -> tuple[Panel, ...]:
    return (
        Panel(
            "Feed age",
            "Time since the last merge into each group that a topic of its own feeds; dashed: from when on it is frozen.",
            "below the group's dashed line.",
            "does the group's topic get events? If not, ask upstream. If so: Lag in seconds, then Redis. Empty: every "
            "group is fed by the scored topic.",
            graph(
                "s",
                Line(f"tidegate:feed_age_seconds{{{THIS}}}", "{{group}}"),
                Line(f"tidegate:feed_limit_seconds{{{THIS}}}", "{{group}} limit"),
                dashed=["/limit$/"],
                span=12,
            ),
            runbook="freshness",
        ),
        Panel(
            "Model versions",
            "How many workers serve each version; dashed: the version that the deployments topic wants.",
            "one version on all workers, the wanted one.",
            "Tidegate debug, Model load failures tells why a worker stays behind. Did trouble begin at a blue mark? Then go "
            "back to the version before.",
            graph(
                "none",
                Line(f"{SERVING})", "{{model}} v{{version}} serves"),
                Line(last("tidegate_model_expected_info", "model", "version"), "{{model}} v{{version}} wanted"),
                dashed=["/wanted$/"],
                span=12,
            ),
            runbook="model",
        ),
    )


def _processes() -> tuple[Panel, ...]:
    started = "tidegate_process_start_time_seconds"
    return (
        Panel(
            "Processes",
            "How many workers, monitors and lag processes answer Prometheus.",
            "as many as were started.",
            "is it gone, or only its page? Its log tells. A worker less is a rebalance, no loss.",
            graph("none", Line(f"count by (process) ({started}{{{PROCESSES}}})", "{{process}}")),
            runbook="presence",
        ),
        Panel(
            "Memory against limit",
            "Resident memory by the limit of each process.",
            "level, below 80 %.",
            "above 100 % it is killed. Climbing for days is a leak: restart it and report that. Empty: no limit is set.",
            graph(
                "percentunit",
                Line(
                    f"max by (process, instance) (tidegate_process_resident_memory_bytes{{{PROCESSES}}}"
                    f" / tidegate_process_memory_limit_bytes{{{PROCESSES}}})",
                    "{{process}} {{instance}}",
                ),
                limits=bad_above(MEMORY_SHARE),
                top=1,
            ),
            runbook="process",
        ),
        Panel(
            "Restarts",
            "Starts of each process in the last 15 minutes.",
            "0; 1 after a deployment.",
            "it cannot stay up: the last lines of its log say why.",
            graph(
                "none",
                Line(f"max by (process, instance) (changes({started}{{{PROCESSES}}}[15m]))", "{{process}} {{instance}}"),
                limits=bad_above(RESTARTS),
            ),
            runbook="process",
        ),
    )


def _servers() -> tuple[Panel, ...]:
    return (
        Panel(
            "Redis",
            "Whether Redis answers each worker.",
            "it does.",
            "events are scored degraded or wait, as the pipeline declares, and nothing is merged. Look at Redis' own log, "
            "memory and disk; tidegate doctor names what is wrong with its settings.",
            timeline(REDIS, Line(last("tidegate_store_unavailable", "instance"), "{{instance}}")),
            runbook="store",
        ),
        Panel(
            "Calls to Redis tried again",
            "Calls a second that Redis did not answer at first.",
            "0.",
            "Redis is busy, or the network loses packets: its slowlog, then the panel Redis.",
            graph("ops", Line(rate("tidegate_store_retries_total"), "tried again")),
            runbook="store",
        ),
        Panel(
            "Last look of the lag monitor",
            "How long ago Kafka last answered tidegate lag in full.",
            "seconds.",
            "above a minute nothing is known of lag: see that tidegate lag runs and reaches Kafka.",
            number("s", Line("time() - max(tidegate_lag_last_look_timestamp_seconds)"), limits=bad_above(LOOK_SECONDS), span=8),
            runbook="presence",
        ),
    )
