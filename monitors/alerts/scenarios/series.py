"""Series over time, in promtool's notation; and a scenario: what happens, and which alerts fire at which minute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Phases = Sequence[tuple[float, float | None]]  # until which minute, and the value; None: the series is gone


@dataclass(frozen=True, slots=True)
class Values:
    """A gauge that holds a value in each phase, or a counter that grows by it a minute."""

    phases: Phases
    counts: bool = False

    def text(self, step_seconds: float, minutes: float) -> str:
        """promtool's notation of the values from minute 0 on, a step apart; the last phase goes on to the end.

        >>> Values([(1, 0.0), (2, None), (4, 5.0)]).text(30, 3)
        '0x1 stale _x1 5x2'
        >>> Values([(1, 2.0), (2, 0.0)], counts=True).text(30, 2)
        '0+1x1 2+0x2'
        """
        parts, done, level = [], 0, 0.0
        for number, (until, value) in enumerate(self.phases):
            last = number == len(self.phases) - 1
            steps = round((minutes if last else min(until, minutes)) * 60 / step_seconds) - done + last
            if steps <= 0:
                continue
            done += steps
            if value is None:
                parts += ["stale", f"_x{steps - 1}"] if steps > 1 else ["stale"]
            elif self.counts:
                each = value * step_seconds / 60
                parts.append(f"{level:.12g}{each:+.12g}x{steps - 1}")
                level += each * steps
            else:
                parts.append(f"{value:.12g}x{steps - 1}")
        return " ".join(parts)


def holds(*phases: tuple[float, float | None]) -> Values:
    """A gauge."""
    return Values(phases)


def counts(*phases: tuple[float, float | None]) -> Values:
    """A counter, or a clock: what it grows by a minute."""
    return Values(phases, counts=True)


def always(value: float) -> Values:
    """A gauge that never changes."""
    return Values([(0, value)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens to a healthy pipeline. ``changes`` replace series of the healthy one, by name and labels, or add some.

    ``fires`` says for minutes which alerts fire then, beside the watchdog, and that no other does. ``step_seconds``: between two
    samples. ``days``: it lasts so long that rules are evaluated every half hour.
    """

    name: str
    minutes: float
    changes: Mapping[str, Values]
    fires: Mapping[float, Sequence[str]]
    step_seconds: float = 30
    days: bool = False

    @property
    def every_minutes(self) -> int:
        """How often rules are evaluated. In between nothing fires or is silent that can be asked for."""
        return 30 if self.days else 1

    def __post_init__(self) -> None:
        if odd := [minute for minute in self.fires if minute % self.every_minutes]:
            raise ValueError(f"{self.name}: no rule is evaluated at minute {odd}")
