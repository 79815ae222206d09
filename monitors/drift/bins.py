"""A feature's bins, fixed by the reference, so that counts of any windows and partitions add up.

Number: edges e1 < ... < ek make the bins (-inf, e1], (e1, e2], ..., (ek, inf) and, last, missing. Category: a bin for each of the
most frequent codes, then other, then missing.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from monitors.drift.statistics import Counts, Floats

QUANTILES = 10
TOP = 20  # categories with a bin of their own
SEEN_MAX = 10_000  # known codes kept, some 100 KB of a profile; with more, unseen codes are not counted
MISSING, OTHER = "missing", "other"


def number_edges(known: Floats) -> list[float]:
    """Inner edges by ``known`` values, ascending and finite: the reference's deciles, ties merged.

    A decile that is a value of many rows (a tie) gets a bin of its own, so that no bin is empty and a change on either side of
    it is seen; so does the only value of a constant.
    """
    if not len(known):
        return []
    places = (np.arange(1, QUANTILES) * len(known)) // QUANTILES
    deciles = known[places].tolist()
    edges: set[float] = set()
    for value in dict.fromkeys(deciles):
        before = int(known.searchsorted(value, "left"))
        if before and deciles.count(value) > 1:
            edges.add(float(known[before - 1]))
        edges.add(value)
    edges.discard(float(known[-1]))  # nothing of the reference is above it: that bin would be empty
    lone = float(known[0])
    return sorted(edges) or [float(np.nextafter(lone, -np.inf)), lone]


def number_labels(edges: Sequence[float]) -> list[str]:
    """A text a bin, in as few digits as tell the edges apart."""
    if not edges:
        return ["any", MISSING]
    if len(edges) == 2 and edges[0] == np.nextafter(edges[1], -np.inf):
        return [f"below {edges[1]!r}", repr(edges[1]), f"above {edges[1]!r}", MISSING]
    texts = _texts(edges)
    between = [f"({low}, {high}]" for low, high in zip(["-inf", *texts], texts, strict=False)]
    return [*between, f"({texts[-1]}, inf)", MISSING]


def _texts(edges: Sequence[float]) -> list[str]:
    for digits in (4, 6, 9, 12, 17):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(edges):
            return texts
    return [repr(edge) for edge in edges]


def middles(known: Floats, edges: Sequence[float]) -> list[float]:
    """Where each bin's rows stand for the Wasserstein distance: the mean of the reference's ``known`` values (ascending) in it.

    The middle between bounds would do for the inner bins; the outer ones of a skewed feature reach to its extremes, far from
    where their rows are. A bin without any stands at its edge.
    """
    bounds = [0, *known.searchsorted(edges, "right").tolist(), len(known)]
    nearest = [*edges, *edges[-1:]] or [0.0]
    with np.errstate(over="ignore", invalid="ignore"):
        means = [float(known[a:b].mean()) if b > a else edge for a, b, edge in zip(bounds, bounds[1:], nearest, strict=False)]
    return [mean if np.isfinite(mean) else edge for mean, edge in zip(means, nearest, strict=True)]


def category_codes(values: Floats) -> tuple[list[float], list[float] | None]:
    """The most frequent codes of ``values`` (no NaN), most rows first, and all codes, ascending; None where they are too many."""
    codes, counts = np.unique(values, return_counts=True)
    order = np.lexsort((codes, -counts))[:TOP]
    return codes[order].tolist(), codes.tolist() if len(codes) <= SEEN_MAX else None


def category_labels(codes: Sequence[float], texts: Mapping[float, str]) -> list[str]:
    """A text a bin: the category's where it is known, else its code."""
    return [*(texts.get(code, f"{code:.17g}") for code in codes), OTHER, MISSING]


def chunk_counts(chunks: Floats, edges: Floats) -> Counts:
    """Counts (chunks, edges + 2) of a number's chunks (chunks, events), each sorted, NaN last."""
    known = np.count_nonzero(~np.isnan(chunks), axis=1)
    upto = np.empty((len(chunks), len(edges) + 2), dtype=np.int64)
    for row, chunk in enumerate(chunks):
        upto[row, :-2] = chunk[: known[row]].searchsorted(edges, "right")
    upto[:, -2], upto[:, -1] = known, chunks.shape[1]
    return np.diff(upto, axis=1, prepend=0)


class Categories:
    """Finds the bin of category codes: those with a bin, other, missing."""

    def __init__(self, codes: Sequence[float], seen: Sequence[float] | None) -> None:
        known = sorted(codes) if seen is None else list(seen)
        own = {code: i for i, code in enumerate(codes)}
        self._told = seen is not None
        self._known = np.array([*known, np.inf])
        self._bins = np.array([*(own.get(code, len(codes)) for code in known), len(codes), len(codes) + 1])

    def find(self, values: Floats) -> tuple[Counts, int]:
        """The bin of each value (n,), and how many are of codes that the reference does not have; 0 where that is not known."""
        places = self._known.searchsorted(values)  # NaN comes after inf
        found: Counts = self._bins[places]
        strange = self._known.take(places, mode="clip") != values
        strange &= places < len(self._known)
        strange |= values == np.inf
        found[strange] = self._bins[-2]
        return found, int(np.count_nonzero(strange)) if self._told else 0
