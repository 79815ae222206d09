"""Served against offline values, feature by feature: how many differ. Pure arrays; where they come from is skew.py's."""

from collections.abc import Mapping, Sequence

import numpy as np

from featurestore.events import Bools, Floats
from featurestore.plan import FeaturePlan
from streams.monitor.records import FeatureSkew

# The kernel is the same, so values agree to the last bit; another machine's mathematics may differ in the last bits, which no
# model notices. A billionth is a million times that.
RELATIVE = 1e-9


def count_skew(
    names: Sequence[str], served: Floats, offline: Floats, comparable: Bools, explained: Bools, skipped: Mapping[str, str]
) -> list[FeatureSkew]:
    """One entry a feature. All arrays (n, features); `comparable` says which values were computed from the whole history.

    `explained` says which mismatches are due to the order of arrival, `skipped` why features cannot be compared at all.
    """
    differing = served.view(np.int64) != offline.view(np.int64)
    differing &= ~(np.isnan(served) & np.isnan(offline))  # missing is missing, whatever the bits
    mismatches = mismatched(served, offline) & comparable
    counts = (comparable, mismatches & ~explained, mismatches & explained, differing & comparable)
    return [
        FeatureSkew(feature=name, compared=0, mismatches=0, ratio=None, why=skipped[name])
        if name in skipped
        else FeatureSkew(
            feature=name,
            compared=compared,
            mismatches=mismatches,
            ratio=mismatches / compared if compared else None,
            by_order=by_order,
            differing=different,
            why=None if compared else "no sampled entity came in this stretch",
        )
        for name, compared, mismatches, by_order, different in zip(
            names, *(one.sum(axis=0).tolist() for one in counts), strict=True
        )
    ]


def mismatched(served: Floats, offline: Floats) -> Bools:
    """Where one value is missing and the other not, or they lie more than RELATIVE apart; the same shape."""
    same = (served == offline) | (np.isnan(served) & np.isnan(offline))
    with np.errstate(invalid="ignore"):  # infinity less infinity
        near = np.abs(served - offline) <= RELATIVE * np.maximum(np.abs(served), np.abs(offline))
    return np.asarray(~(same | (near & np.isfinite(served) & np.isfinite(offline))))


def by_column(plan: FeaturePlan, groups: Mapping[str, Bools], n: int) -> Bools:
    """Which values can be compared, (n, features), from which events each group's can, (n,) by name.

    Features of the event alone always can; a ratio where both its parts can.
    """
    out = np.ones((n, len(plan.schema)), dtype=np.bool_)
    for reads in plan.reads:
        out[:, reads.places] = groups[reads.group.name][:, None]
    for ratio in plan.ratios:
        out[:, ratio.place] = out[:, ratio.numerator] & out[:, ratio.denominator]
    return out


def columns_of(plan: FeaturePlan, groups: Mapping[str, str]) -> dict[str, str]:
    """What is said of groups, by name, said of their features, and of the ratios made of these."""
    names = plan.schema.names
    out = {name: groups[reads.group.name] for reads in plan.reads if reads.group.name in groups for name in reads.names}
    for ratio in plan.ratios:
        for part in (names[ratio.numerator], names[ratio.denominator]):
            if part in out:
                out[names[ratio.place]] = out[part]
    return out
