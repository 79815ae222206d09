"""The executive dashboard: is the service in order, what is left of its budgets, what does it cost. For who owns the service."""

from monitors.dashboards.board import SERVING, Board, Panel, Row
from monitors.dashboards.colours import GREEN, ORANGE, RED, YELLOW, bad_above, bad_below
from monitors.dashboards.limits import LATENCY_SECONDS
from monitors.dashboards.looks import graph, number
from monitors.dashboards.series import FIRING, RULES_ALIVE, THIS, Line, last, quantile, rate
from monitors.monitor_metrics import STATES

HEALTH = {0: ("healthy", GREEN), 1: ("ticket open", YELLOW), 2: ("page open", ORANGE), 3: ("escalated", RED)}
NO_RULES = "no alert rules"
# Outcomes of which a prediction was published.
PUBLISHED = f'{THIS},outcome=~"scored|degraded|fallback"'


def executive() -> Board:
    return Board(
        uid="tidegate-executive",
        title="Tidegate executive",
        purpose="Is the service in order, what is left of its budgets, what does it cost: for who owns it. Next: on-call.",
        since="now-24h",
        rows=(Row("Now", (*_state(), *_served())), Row("Promises over 30 days", _promises()), Row("The last day", _day())),
    )


def _state() -> tuple[Panel, ...]:
    worst = " or ".join(
        f'{rank} * ALERTS{{{FIRING},severity="{name}"}}' for rank, name in ((3, "escalate"), (2, "page"), (1, "ticket"))
    )
    severities = [
        Line(f'count(ALERTS{{{FIRING},severity="{name}"}}) or 0 * {RULES_ALIVE}', name) for name in ("escalate", "page", "ticket")
    ]
    states = last("tidegate_feature_drift_state", "feature")
    return (
        Panel(
            "Health",
            "The worst alert that fires.",
            "healthy.",
            'Tidegate on-call, Alerts lists what fires. "no alert rules": Prometheus evaluates no rules of this pipeline, so '
            "nobody would be told of anything; see that deploy/prometheus has its file.",
            number("none", Line(f"max({worst}) or 0 * {RULES_ALIVE}"), names=HEALTH, empty=NO_RULES),
            runbook="watchdog",
        ),
        Panel(
            "Alerts by severity",
            "How many alerts fire: escalate and page wake somebody, a ticket waits for working hours.",
            "0 of each.",
            "Tidegate on-call, Alerts.",
            number("none", *severities, limits=bad_above(1), empty=NO_RULES, named=True),
        ),
        Panel(
            "Features in drift",
            "Features and predictions whose last window is not distributed as at training, beyond chance.",
            "0.",
            "a few are a ticket, not an outage. Tidegate debug, Drift state by feature tells which.",
            number(
                "none",
                Line(f"count({states} == {STATES['drift']}) or 0 * count({states})"),
                limits=bad_above(1),
                empty="no window judged",
            ),
            runbook="drift",
        ),
        Panel(
            "Live version",
            "The versions that serve, and how many workers each.",
            "one version, on all workers; two for a minute after a deployment.",
            "Tidegate on-call, Model versions tells which one is wanted.",
            number("none", Line(f"{SERVING})", "{{model}} v{{version}}"), named=True, empty="no worker serves"),
            runbook="model",
        ),
    )


def _served() -> tuple[Panel, ...]:
    cost = f"sum(increase(tidegate_cost_usd_total{{{THIS}}}[$__range]))"
    events = f"sum(increase(tidegate_events_total{{{PUBLISHED}}}[$__range]))"
    return (
        Panel(
            "p95 latency",
            "95 of 100 events had their prediction within this time of their arrival at the broker, over the last hour.",
            "below the objective, 200 ms by default.",
            "Tidegate on-call, Latency p95 and p99.",
            number(
                "s",
                Line(f"histogram_quantile(0.95, sum by (le) (rate(tidegate_end_to_end_seconds_bucket{{{THIS}}}[1h])))"),
                limits=bad_above(LATENCY_SECONDS),
                empty="no events",
                span=8,
            ),
            runbook="latency",
        ),
        Panel(
            "Events per second",
            "Predictions published a second, over the last hour.",
            "as the hour of the day has it.",
            "Tidegate on-call, Volume against last week.",
            number("eps", Line(f"sum(rate(tidegate_events_total{{{PUBLISHED}}}[1h]))"), empty="no events", span=8),
            runbook="traffic",
        ),
        Panel(
            "Cost per 1000 events",
            "What workers cost by their declared price, for 1000 predictions of the time shown.",
            "level; higher by night, when workers idle.",
            "fewer workers where it rises. Empty: declare a price, Pipeline(cost_usd_per_hour=...).",
            number(
                "currencyUSD",
                Line(f"1000 * {cost} / ({events} > 0)"),
                empty="no price declared, or no events",
                decimals=4,
                span=8,
            ),
        ),
    )


def _promises() -> tuple[Panel, ...]:
    return (
        Panel(
            "Budgets left",
            "What is left of the errors that each objective allows in 30 days: 0 % is used up, below is overdrawn.",
            "above 0.",
            "Tidegate on-call, Budget burn tells how fast it goes; put reliability before features until it recovers.",
            number(
                "percentunit", Line(f"tidegate:budget_left:ratio{{{THIS}}}", "{{slo}}"), limits=bad_below(0), named=True, span=12
            ),
            runbook="scoring",
        ),
        Panel(
            "Objectives",
            "The share that each objective promises over 30 days.",
            "as the pipeline declares it.",
            "change Objectives(...) in the pipeline's file, then: tidegate alerts render.",
            number("percentunit", Line(f"tidegate:objective:ratio{{{THIS}}}", "{{slo}}"), named=True, span=12, decimals=2),
        ),
        Panel(
            "Budgets left over time",
            "How the budgets went.",
            "falls slowly, rises as bad hours leave the 30 days.",
            "a step down is an incident: the alerts of that hour tell which.",
            graph("percentunit", Line(f"tidegate:budget_left:ratio{{{THIS}}}", "{{slo}}"), limits=bad_below(0), top=1, span=24),
            runbook="scoring",
        ),
    )


def _day() -> tuple[Panel, ...]:
    return (
        Panel(
            "Events published",
            "Predictions published a second.",
            "the shape of the day before.",
            "a dent is an outage, here or upstream: Tidegate on-call, Volume against last week.",
            graph("eps", Line(rate("tidegate_events_total", where=PUBLISHED), "published"), span=12),
        ),
        Panel(
            "p95 latency over time",
            "The latency above, as it went.",
            "below the dashed line, the default objective.",
            "a peak after a restart is a backlog that drains; a plateau is not: Tidegate debug, Stage latencies.",
            graph(
                "s",
                Line(quantile(0.95, "tidegate_end_to_end_seconds"), "p95"),
                limits=bad_above(LATENCY_SECONDS),
                span=12,
            ),
            runbook="latency",
        ),
    )
