"""Which alerts a silence takes, and what may not be silenced. Alertmanager, which keeps it, is met in alertmanager.py."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from featurestore.definitions import span
from monitors.alerts import alerts
from monitors.routing.render import WATCHDOG
from scorer.pipeline import Pipeline
from streams.alerting import subject_of
from streams.alertmanager import ActiveAlert, Matcher
from streams.errors import SilenceRefused

# What is silenced for longer is no incident but a rule that nobody wants: it is then forgotten, and with it the fault.
LONGEST_SECONDS = 7 * 86_400
ESCALATE = "escalate"
NONE = "none"  # the Watchdog's severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody wants silenced: one alert or one family of a pipeline, for a while, for a reason."""

    pipeline: str
    alert: str | None
    family: str | None
    seconds: float
    why: str
    escalations: bool = False

    def __post_init__(self) -> None:
        if (self.alert is None) == (self.family is None):
            raise SilenceRefused("name one alert or one family: --alert NAME or --family F; all of a pipeline is never silenced")
        if not self.why.strip():
            raise SilenceRefused("say why, for those who wonder at the silence: --why TEXT")
        if self.seconds > LONGEST_SECONDS:
            longest = span(LONGEST_SECONDS)
            raise SilenceRefused(
                f"a silence lasts {longest} at most; for longer there are mute times (docs/routing.md) and thresholds"
            )
        if self.alert == WATCHDOG or self.family == "watchdog":
            raise SilenceRefused(
                f"{WATCHDOG} is not silenced: it says that alerts reach somebody at all; stop the heartbeat instead"
            )

    @property
    def matchers(self) -> list[Matcher]:
        """Never the Watchdog, and an escalation only where that was asked for."""
        what = Matcher("alertname", self.alert) if self.alert is not None else Matcher("family", self.family or "")
        spared = NONE if self.escalations else f"{ESCALATE}|{NONE}"
        return [Matcher("pipeline", self.pipeline), what, Matcher("severity", spared, is_regex=True, is_equal=False)]


def refuse_escalation(wanted: Wanted, firing: Iterable[ActiveAlert]) -> None:
    """SilenceRefused where the alert that is named escalates: its silence would take nothing. A family's other alerts may go."""
    if wanted.alert is None or wanted.escalations:
        return
    if any(one.name == wanted.alert and one.labels.get("severity") == ESCALATE for one in firing):
        raise SilenceRefused(
            f"{wanted.alert} escalates: it tells of loss that goes on; to silence it all the same add --escalations"
        )


def refuse_unknown(wanted: Wanted, pipeline: Pipeline) -> None:
    """SilenceRefused where the pipeline's rules have no such alert or family: its silence would take nothing."""
    rules = alerts(subject_of(pipeline))
    if wanted.alert is not None:
        what, name, known = "alert", wanted.alert, {one.name for one in rules}
    else:
        what, name, known = "family", wanted.family or "", {one.family for one in rules}
    if name in known:
        return
    near = ", ".join(get_close_matches(name, sorted(known), n=3))
    hint = f"did you mean {near}?" if near else "docs/alerting.md lists them"
    raise SilenceRefused(
        f"{pipeline.name} declares no {what} {name} ({hint}); one of your own is silenced by the pipeline's name, not its file"
    )
