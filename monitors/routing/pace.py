"""How soon the first message of a group of alerts is sent, how often it is brought up to date, and how often repeated."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """group_wait, group_interval and repeat_interval of a route."""

    wait_seconds: float
    interval_seconds: float
    repeat_seconds: float

    def rendered(self, time_scale: float) -> dict[str, str]:
        """As fields of Alertmanager's routes; times `time_scale`, which drills shorten."""
        found = {"group_wait": self.wait_seconds, "group_interval": self.interval_seconds, "repeat_interval": self.repeat_seconds}
        return {name: span(seconds * time_scale) for name, seconds in found.items()}


# A page waits as long as a fault's other alerts need to join its message: two evaluations of 15 s. Repeats say "still nobody has
# mended it": an escalation's within the half hour in which somebody else must be woken, a ticket's next day. Information is not
# repeated before Alertmanager would forget that it was told (five days). A heartbeat comes as often as outside services count.
PACES = {
    "escalate": Pace(10, 60, 30 * 60),
    "page": Pace(30, 5 * 60, 4 * 3600),
    "ticket": Pace(5 * 60, 30 * 60, 24 * 3600),
    "info": Pace(5 * 60, 3600, 96 * 3600),
    "none": Pace(0, 60, 60),
}
UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000}


def span(seconds: float) -> str:
    """A length of time as Prometheus writes it, in the largest unit in which it is whole.

    >>> span(14400), span(90), span(0.5), span(0)
    ('4h', '90s', '500ms', '0s')
    """
    milliseconds = round(seconds * 1000)
    for unit, length in UNITS.items():
        if milliseconds % length == 0 and (milliseconds or unit == "s"):
            return f"{milliseconds // length}{unit}"
    return f"{milliseconds}ms"
