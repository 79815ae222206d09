"""Small plots of characters: they read the same on a terminal, in a pipe and in a ticket."""

from collections.abc import Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"
EMPTY = "·"  # nothing at all: to be told from the lowest bar
BINS = 11  # the monitor's ten and one for missing; more are drawn together


def shares(counts: Sequence[int]) -> list[float]:
    """Counts as shares of their sum; zeros of nothing."""
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def gathered(values: Sequence[float], most: int = BINS) -> list[float]:
    """At most so many: the first ones, then the sum of those between, then the last, which is the bin of what is missing.

    >>> gathered([4, 3, 2, 1, 1, 0], most=4)
    [4, 3, 4, 0]
    """
    if len(values) <= most:
        return list(values)
    return [*values[: most - 2], sum(values[most - 2 : -1]), values[-1]]


def bars(values: Sequence[float | None], top: float) -> str:
    """A bar for each value of 0 to `top`; EMPTY for nothing, a space for None.

    >>> bars([0.0, 0.01, 0.5, 1.0, None], top=1.0)
    '·▁▅█ '
    """
    return "".join(" " if value is None else _bar(value, top) for value in values)


def _bar(value: float, top: float) -> str:
    return EMPTY if value <= 0 or top <= 0 else BARS[min(int(value / top * len(BARS)), len(BARS) - 1)]


def histograms(reference: Sequence[int], window: Sequence[int], most: int = BINS) -> tuple[str, str]:
    """Two distributions over the same bins, to one scale."""
    both = gathered(shares(reference), most), gathered(shares(window), most)
    top = max((*both[0], *both[1]), default=0.0)
    return bars(both[0], top), bars(both[1], top)


def squeezed(values: Sequence[float | None], most: int) -> list[float | None]:
    """At most so many columns, in order, each the largest of the values that fall into it.

    >>> squeezed([1, 5, None, 2, None, None], most=3)
    [5, 2, None]
    """
    if len(values) <= most:
        return list(values)
    edges = [round(place * len(values) / most) for place in range(most + 1)]
    parts = (values[start:end] for start, end in pairwise(edges))
    return [max((value for value in part if value is not None), default=None) for part in parts]
