"""What values look like: thresholds that colour them, and words for codes."""

from collections.abc import Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"


@dataclass(frozen=True, slots=True)
class Limits:
    """Colours from values on: ``base`` below the first step."""

    base: str = GREEN
    steps: tuple[tuple[float, str], ...] = ()

    @property
    def built(self) -> builders.ThresholdsConfig:
        steps = [models.Threshold(color=self.base), *(models.Threshold(value=at, color=colour) for at, colour in self.steps)]
        return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


NEUTRAL = Limits(base=GREY)


def bad_above(limit: float, then: float | None = None) -> Limits:
    """Red from ``limit`` on; orange there, if it is red only from ``then`` on."""
    return Limits(steps=((limit, RED),) if then is None else ((limit, ORANGE), (then, RED)))


def bad_below(limit: float) -> Limits:
    """Red below ``limit``."""
    return Limits(base=RED, steps=((limit, GREEN),))


def words(names: Mapping[int, tuple[str, str]]) -> list[models.ValueMapping]:
    """A word and a colour for each code."""
    results = {
        str(code): models.ValueMappingResult(text=word, color=colour, index=index)
        for index, (code, (word, colour)) in enumerate(names.items())
    }
    return [models.ValueMap(options=results)]
