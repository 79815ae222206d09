"""Alerts on how fast an error budget burns: several windows, so that what is over resolves and what is slow is still seen.

Beyer et al., The Site Reliability Workbook (2018), chapter 5, "Multiwindow, Multi-Burn-Rate Alerts", with our own
rates: 2x over 5m and 1h pages (a thirtieth of the month's budget is gone after 12 h), 5x is its second step, 1x over 6h and 3d
is a ticket.
"""

from dataclasses import dataclass

from monitors.alerts.rule import DAY, HOUR, MINUTE, Alert, Recording, Rule, Severity, Timing
from monitors.alerts.subject import EXECUTIVE, ON_CALL

WINDOWS = {"5m": 5 * MINUTE, "1h": HOUR, "6h": 6 * HOUR, "3d": 3 * DAY, "30d": 30 * DAY}
PAGE_RATE, ESCALATE_RATE, TICKET_RATE = 2, 5, 1
TIMES: dict[float, str] = {TICKET_RATE: "more than", PAGE_RATE: "more than twice", ESCALATE_RATE: "more than five times"}
# A share of few events says little: 1 failure of 100 is ten times the budget of 99.9 %. Below this rate failures are counted.
BUSY_EVENTS_PER_HOUR = 500
QUIET_BAD_EVENTS, QUIET_SHARE = 20, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """An objective's error budget. ``ratio`` is the stem of its recorded series, such as tidegate:scoring_errors:ratio.

    ``title`` begins its alerts' names, ``what`` says in words what spends it. ``events_per_hour`` is an expression, empty where
    the budget is of time. Pages are held back by ``unless``, an expression; they and their second step are muted by ``causes``,
    alerts of other families, and pages by ``stages``, pages of this one, which the second step mutes. Tickets wait for
    ``settled``, a series that must have been there for the shorter window: after an hour three days' share is that hour's.
    """

    slo: str
    title: str
    what: str
    ratio: str
    share: float
    pipeline: str
    events_per_hour: str = ""
    unless: str = ""
    settled: str = ""
    causes: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()

    @property
    def this(self) -> str:
        """The label matcher of the pipeline's series."""
        return f'pipeline="{self.pipeline}"'

    @property
    def spent(self) -> float:
        """The bad share that is just within the objective."""
        return round(1 - self.share, 9)

    def paging(self, over: str, gate: str) -> str:
        """An expression for a page: `over`, by as many events as `gate` demands, unless held back."""
        gated = f" and {self.events_per_hour} {gate}" if self.events_per_hour else ""
        return f"{over}{gated}" + (f" unless on (pipeline) {self.unless}" if self.unless else "")


def burn_alerts(budget: Budget, timing: Timing) -> list[Alert]:
    """Page, its second step, and the slow burn's ticket."""
    fast = ("5m", "1h")
    return [
        _alert(budget, timing, "Burn", "page", PAGE_RATE, fast),
        _alert(budget, timing, "BurnFast", "escalate", ESCALATE_RATE, fast),
        slow_burn(budget, timing),
    ]


def slow_burn(budget: Budget, timing: Timing) -> Alert:
    """The ticket alone: for what happens a few times a day, shorter windows say nothing."""
    return _alert(budget, timing, "BurnSlow", "ticket", TICKET_RATE, ("6h", "3d"))


def _alert(budget: Budget, timing: Timing, suffix: str, severity: Severity, rate: float, windows: tuple[str, str]) -> Alert:
    over = " and ".join(f"{budget.ratio}_{window}{{{budget.this}}} > {rate * budget.spent:.6g}" for window in windows)
    pages = severity != "ticket"
    settled = f" and {budget.settled} offset {timing(WINDOWS[windows[0]])}" if budget.settled else ""
    return Alert(
        name=f"Tidegate{budget.title}{suffix}",
        family=budget.slo,
        severity=severity,
        expr=budget.paging(over, f">= {BUSY_EVENTS_PER_HOUR}") if pages else over + settled,
        after=MINUTE if pages else 15 * MINUTE,
        summary=f"{{{{ $value | humanizePercentage }}}} of {budget.what}: {TIMES[rate]} what the objective allows",
        meaning=f"The objective is {budget.share:.4g} over 30 days. At this rate, over {' and '.join(windows)}, the error budget "
        f"is gone in {30 / rate:.3g} days or sooner.",
        panel=(ON_CALL, "Budget burn") if pages else (EXECUTIVE, "Budgets left"),
        muted_by={"page": (*budget.causes, *budget.stages), "escalate": budget.causes}.get(severity, ()),
    )


def quiet_alert(budget: Budget, bad_events: str) -> Alert:
    """The page of pipelines with few events. `bad_events` is an expression: how many in the last 6h."""
    over = f"{bad_events} >= {QUIET_BAD_EVENTS} and {budget.ratio}_6h{{{budget.this}}} > {QUIET_SHARE}"
    return Alert(
        name=f"Tidegate{budget.title}Quiet",
        family=budget.slo,
        severity="page",
        expr=budget.paging(over, f"< {BUSY_EVENTS_PER_HOUR}"),
        after=MINUTE,
        summary=f"{{{{ $value | humanize }}}} {budget.what} in 6 hours, on a quiet pipeline",
        meaning=f"More than a tenth of the events; with fewer than {BUSY_EVENTS_PER_HOUR} an hour they are counted, not rated.",
        panel=(ON_CALL, "Events by outcome"),
        muted_by=(*budget.causes, *budget.stages),
    )


def recorded(budget: Budget, bad: str, of: str, timing: Timing) -> list[Rule]:
    """The budget's series, of expressions for the last 5m of what is bad and of all: rates, ratios, burn rates, what is left.

    Longer windows average the 5m rates, which weighs them by traffic and costs Prometheus a fraction.
    """
    stem = budget.ratio.removesuffix(":ratio")
    rates = [Recording(record=f"{stem}:rate_5m", expr=bad), Recording(record=f"{stem}_of:rate_5m", expr=of)]
    of_5m = f"({stem}_of:rate_5m{{{budget.this}}} > 0)"
    ratios = [Recording(record=f"{budget.ratio}_5m", expr=f"{stem}:rate_5m{{{budget.this}}} / {of_5m}")]
    for window, seconds in list(WINDOWS.items())[1:]:
        over = f"{{{budget.this}}}[{timing(seconds)}])"
        expr = f"avg_over_time({stem}:rate_5m{over} / (avg_over_time({stem}_of:rate_5m{over} > 0)"
        ratios.append(Recording(record=f"{budget.ratio}_{window}", expr=expr))
    return [*rates, *ratios, *standing(budget)]


def standing(budget: Budget) -> list[Rule]:
    """How the objective stands, for the dashboards: the worst of its series."""
    labels = {"slo": budget.slo}
    worst = {window: f"max by (pipeline) ({budget.ratio}_{window}{{{budget.this}}})" for window in WINDOWS}
    burn = [
        Recording(record=f"tidegate:burn:rate_{window}", expr=f"{worst[window]} / {budget.spent:g}", labels=labels)
        for window in ("5m", "1h")
    ]
    left = Recording(record="tidegate:budget_left:ratio", expr=f"1 - {worst['30d']} / {budget.spent:g}", labels=labels)
    objective = Recording(
        record="tidegate:objective:ratio", expr=f"vector({budget.share:g})", labels=labels | {"pipeline": budget.pipeline}
    )
    return [*burn, left, objective]
