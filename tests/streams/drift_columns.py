"""The columns of the drift tests' world: how their values come, window by window, and the bins and statistics made of them.

Written from docs/topics.md, not by the code under test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
N, M, TURN = 1_000, 20_000, 25  # events of a window, events of the reference, the window in which trouble begins
COUNTRIES = ("DE", "FR", "IT", "ES", "NL", "PL", "US", "GB")
MERCHANTS = ("grocery", "fuel", "restaurants", "travel", "electronics", "gambling", "clothing")
PREDICTIONS = ("prediction.score", "prediction.decision", "prediction.confidence")


def names() -> list[str]:
    """The columns: raw fields, then aggregates over windows."""
    raw = ["amount", "distance_km", "device_age_days", "merchant_category", "country", "hour"]
    user = [f"payment_by_user.amount.{kind}.{w}" for w in ("5m", "1h", "24h") for kind in ("mean", "std", "max")]
    user += [f"payment_by_user.count.{w}" for w in ("5m", "1h", "24h")]
    shop = [f"payment_by_merchant.amount.{kind}.{w}" for w in ("1h", "24h") for kind in ("mean", "std", "max")]
    shop += [f"payment_by_merchant.count.{w}" for w in ("1h", "24h")]
    return [
        *raw,
        *user,
        *shop,
        "refund_by_user.count.24h",
        "refund_by_user.amount.mean.24h",
        "seconds_since_last",
        "weather.rain_mm",
    ]


@dataclass(frozen=True)
class Column:
    """One feature: how its values come, and its bins."""

    name: str
    categories: Sequence[str] = ()
    shift: float = 0.0  # in standard deviations, from TURN on
    missing: float = 0.002  # from TURN + 3 on
    renamed: bool = False
    decay: float = 0.55  # each category is so many times as frequent as the one before
    wander: float = 0.0  # of the mean, from window to window, AR(1) with phi = 0.9

    def draw(self, dice: np.random.Generator, count: int, window: int, mean: float) -> Floats:
        """Values, NaN where missing; of a category its number, -1 where the reference has none such."""
        turned = window >= TURN
        if self.categories:
            weights = (self.decay * (1.6 if turned and self.shift else 1.0)) ** np.arange(len(self.categories))
            drawn = dice.choice(len(weights), count, p=weights / weights.sum()).astype(float)
            return np.where((drawn == 1) & self.renamed & turned, -1.0, drawn)
        values = np.exp(0.8 * (dice.standard_normal(count) + mean + self.shift * turned)) * 20
        values[dice.random(count) < (self.missing if window >= TURN + 3 else 0.002)] = np.nan
        return values


def columns() -> list[Column]:
    special = {
        "amount": Column("amount", shift=0.5),
        "distance_km": Column("distance_km", shift=0.35),
        "device_age_days": Column("device_age_days", missing=0.4),
        "merchant_category": Column("merchant_category", MERCHANTS, renamed=True),
        "country": Column("country", COUNTRIES),
        "prediction.score": Column("prediction.score", shift=0.3),
        "prediction.decision": Column("prediction.decision", ("no", "yes"), shift=0.3, decay=0.032),
    }
    wandering = {name: Column(name, wander=0.045) for name in names() if "24h" in name}
    return [(special | wandering).get(name, Column(name)) for name in [*names(), *PREDICTIONS]]


@dataclass(frozen=True)
class Reference:
    """A column's bins, and how many values of the reference each has."""

    column: Column
    labels: list[str]
    edges: Floats
    counts: list[int]
    least: float
    most: float

    @classmethod
    def of(cls, column: Column, values: Floats) -> "Reference":
        edges = (
            np.arange(0.5, len(column.categories) - 1) if column.categories else np.nanquantile(values, np.linspace(0.1, 0.9, 9))
        )
        inner = [f"{a:.4g} to {b:.4g}" for a, b in pairwise(edges)]
        numbers = [f"below {edges[0]:.4g}", *inner, f"{edges[-1]:.4g} and more", "missing"]
        labels = [*column.categories, "other", "missing"] if column.categories else numbers
        made = cls(column, labels, edges, [], float(np.nanmin(values)), float(np.nanmax(values)))
        made.counts.extend(made.count(values))
        return made

    def count(self, values: Floats) -> list[int]:
        known = values[values >= 0]
        counts = np.bincount(np.searchsorted(self.edges, known, "right"), minlength=len(self.edges) + 1).tolist()
        others = [int((values < 0).sum())] if self.column.categories else []
        return [*counts, *others, int(np.isnan(values).sum())]


def measured(column: Column, reference: Reference, values: Floats) -> dict[str, object]:
    """Counts and statistics of one column in one window."""
    labels, base, counts = reference.labels, reference.counts, reference.count(values)
    unseen = float(np.mean(values < 0)) if column.categories else None
    effective = N / 4 if column.wander else float(N)
    q, p = (np.asarray(c) + 0.5 for c in (counts, base))
    q, p = q / q.sum(), p / p.sum()
    psi, scale = float(np.sum((q - p) * np.log(q / p))), 1 / effective + 1 / M
    excess = psi - (len(labels) - 1) * scale
    middle = (p + q) / 2
    divergence = float(np.sum(p * np.log2(p / middle) + q * np.log2(q / middle)) / 2)
    return {
        "effective_n": effective,
        "psi": psi,
        "psi_excess": excess,
        "js_distance": divergence**0.5,
        "wasserstein": None if column.categories else float(abs(np.cumsum(q - p)).sum() / 3),
        "p": float(stats.chi2.sf(psi / scale, len(labels) - 1)),
        "minimum_detectable_shift": None if column.categories else 5.5 / effective**0.5,
        "missing_ratio": float(np.mean(np.isnan(values))),
        "unseen_ratio": unseen,
        "below_ratio": None if column.categories else float(np.mean(values < reference.least)),
        "above_ratio": None if column.categories else float(np.mean(values > reference.most)),
        "bins": labels,
        "counts": counts,
        "reference_counts": base,
    }
