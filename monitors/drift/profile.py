"""The reference profile: what a model's training data look like, kept with the version and held against every window.

How it is made from rows is in reference.py.
"""

import hashlib
from math import inf
from statistics import median
from typing import Literal

import msgspec

from monitors.drift.detectable import Detectable
from monitors.drift.null import Null

PROFILE_FILE = "profile.json"
SCORE, DECISION, CONFIDENCE = "prediction.score", "prediction.decision", "prediction.confidence"
PREDICTIONS = (SCORE, DECISION, CONFIDENCE)  # the columns after the vector's, in this order
ID_DIGITS = 16


class FeatureProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of the reference: ``m`` rows in bins, the missing ones last.

    Numbers have inner ``edges``, bins being closed on the right, and ``middles``, the mean of each bin's values; categories have
    ``codes`` with a bin of their own, then other, and ``seen``: all codes of the reference, ascending, or null where too
    many. ``unseen`` is the share of the newest fifth of the rows whose codes the others do not have. ``lowest`` to ``sd`` are of
    finite values, null where there are none. ``null`` is null where the reference is too small to say what chance does;
    ``detectable`` where nothing would be found.
    """

    name: str
    kind: Literal["number", "category"]
    edges: list[float] = []
    codes: list[float] = []
    seen: list[float] | None = None
    unseen: float = 0.0
    middles: list[float] = []
    labels: list[str]
    counts: list[int]
    lowest: float | None = None
    highest: float | None = None
    mean: float | None = None
    sd: float | None = None
    null: Null | None = None
    detectable: Detectable | None = None

    @property
    def m(self) -> int:
        return sum(self.counts)

    @property
    def bins(self) -> int:
        return len(self.counts)

    def shift_at(self, n: int) -> float | None:
        """The minimum detectable shift of a window of ``n`` events; None where it is not known, or nothing would be found."""
        if self.null is None or self.detectable is None or not n:
            return None
        return self.detectable.scaled(self.null, n, self.m)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Features in the vector's order, then `PREDICTIONS`; ``rows`` of the vectors, in event time from ``first`` to ``last``.

    A window is of ``window_events`` events or of ``window_seconds`` of event time; the other is null. ``chunk_events`` of the
    reference were held out at a time. ``metrics`` are of the validation rows.
    """

    features: list[FeatureProfile]
    window_events: int | None
    window_seconds: float | None
    chunk_events: int
    rows: int
    first: float
    last: float
    metrics: dict[str, float | None]
    format: int = 1

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.features]

    @property
    def width(self) -> int:
        """Most bins that any feature has."""
        return max(feature.bins for feature in self.features)

    @property
    def id(self) -> str:
        """The reference's id: the beginning of its content's SHA-256."""
        return hashlib.sha256(self.encode()).hexdigest()[:ID_DIGITS]

    def median_shift(self) -> float | None:
        """Of the numbers in the vector, in sd: what one usual window finds, inf for nothing; None where that is not known."""
        usual = self.window_events or self.chunk_events
        vector = [feature for feature in self.features if feature.kind == "number" and feature.name not in PREDICTIONS]
        shifts = [feature.shift_at(usual) or inf for feature in vector if feature.null is not None]
        return median(shifts) if shifts else None

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Profile":
        """The profile that ``encode`` wrote; msgspec.DecodeError for anything else."""
        return msgspec.json.decode(data, type=cls)
