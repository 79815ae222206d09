"""The two kinds of Prometheus rule, and durations in PromQL. What the rules are about is the other files'."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# escalate is a page's second step; a page is for now, a ticket for working hours, info for whoever looks; none is the watchdog's.
Severity = Literal["escalate", "page", "ticket", "info", "none"]
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1.0, "s"))


@dataclass(frozen=True, slots=True)
class Timing:
    """How long windows and waits are. ``scale`` below 1 shortens them all alike: for drills, the same rules in less time."""

    scale: float = 1.0

    def __call__(self, seconds: float) -> str:
        """A scaled duration in PromQL, to the millisecond.

        >>> Timing()(300), Timing(0.01)(300)
        ('5m', '3s')
        """
        return duration(seconds * self.scale)


def duration(seconds: float) -> str:
    """A duration in PromQL, to the millisecond.

    >>> duration(5400), duration(0.25)
    ('90m', '250ms')
    """
    milliseconds = max(1, round(seconds * 1000))
    for unit, letter in UNITS:
        if milliseconds % round(unit * 1000) == 0:
            return f"{milliseconds // round(unit * 1000)}{letter}"
    return f"{milliseconds}ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A series that other rules and the dashboards read. ``labels`` are set on it beside those of the expression."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of one pipeline.

    ``family``: alerts about the same thing, of which the graver mutes the lesser. ``after`` is how long the expression must hold,
    in seconds; ``lingers``, how long it goes on firing when that no longer holds. ``summary`` and ``meaning`` are Prometheus
    templates: a line for the pager, and what it means for predictions. ``panel`` is where to look first: a dashboard's uid and a
    panel's title. ``muted_by``: alerts of the pipeline whose cause is this one's too.
    """

    name: str
    family: str
    severity: Severity
    expr: str
    after: float = 0.0
    lingers: float = 0.0
    summary: str
    meaning: str
    panel: tuple[str, str]
    muted_by: tuple[str, ...] = ()


Rule = Recording | Alert
