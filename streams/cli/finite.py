"""Numbers on the command line that are neither nan nor infinite: click's own range lets nan through."""

from math import isfinite
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A finite number within the range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not isfinite(found):
            self.fail(f"{value} is no finite number.", param, ctx)
        return found
