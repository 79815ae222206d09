"""The records on ``<pipeline>.drift``: one a feature and window, and one about the window itself. docs/topics.md describes them.

Fields are only ever added, with defaults. A record says nothing of the moment it was written: written again after a crash, it is
byte for byte the same, under the same id.
"""

from typing import Literal

import msgspec

from monitors.drift.episode import Severity, State
from monitors.feeds import Feed
from monitors.quality import Check


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="feature"):
    """One feature in one window against the reference of the model version that scored it. Times are event times, in seconds.

    ``drift_id`` is "<pipeline>/<feature>/<window>": of several records with one id the first counts. ``feature`` names a column
    of the served vector, or prediction.score, prediction.decision, prediction.confidence. ``n`` events of the window, ``m`` of
    the reference; ``sampled`` is the share of the events that n is of. Ratios are shares of n. What cannot be said is null.
    """

    drift_id: str
    pipeline: str
    feature: str
    window: str
    type: Literal["number", "category"]
    model: str
    model_version: int
    reference: str
    window_start: float
    window_end: float
    n: int
    m: int
    effective_n: float | None
    sampled: float
    psi: float | None
    psi_excess: float | None
    js_distance: float | None
    wasserstein: float | None
    p: float | None
    q: float | None
    minimum_detectable_shift: float | None
    missing_ratio: float
    unseen_ratio: float | None
    below_ratio: float | None
    above_ratio: float | None
    state: State
    severity: Severity
    why: str | None
    alarm_since: float | None
    seasonal_psi: float | None
    seasonal_p: float | None
    history_weeks: float
    bins: list[str]
    counts: list[int]
    reference_counts: list[int]


class WindowSummary(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="window"):
    """One window: what drifted, the decisions, data quality and feeds. ``repeats`` were dropped, ``late`` came too late for it;
    ``tail_lost`` were served when a feature window's oldest tiles were gone already."""

    drift_id: str
    pipeline: str
    window: str
    model: str
    model_version: int
    reference: str | None
    window_start: float
    window_end: float
    n: int
    repeats: int
    late: int
    sampled: float
    state: State
    severity: Severity
    why: str | None
    drifting: list[str]
    warned: list[str]
    decision_rate: float | None
    decision_rate_last_week: float | None
    decision_band: tuple[float, float] | None
    decision_in_band: bool | None
    quality_score: float | None
    checks: list[Check]
    feeds: list[Feed]
    tail_lost: int = 0


class FeatureSkew(msgspec.Struct, frozen=True, kw_only=True):
    """How often one feature, computed again offline, differs from what was served: ``mismatches`` of ``compared`` values.

    A mismatch: one is missing and the other not, or they lie more than a billionth apart, and the order in which events arrived
    does not explain it; ``by_order`` counts those that it does, ``differing`` every difference of a bit. ``why`` says why nothing
    was compared.
    """

    feature: str
    compared: int
    mismatches: int
    ratio: float | None
    by_order: int = 0
    differing: int = 0
    why: str | None = None


class SkewReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="skew"):
    """Served vectors of sampled entities against the same computed offline, over a stretch of event time.

    ``events`` vectors were compared; ``left_out`` counts those of sampled entities that were not, by reason.
    """

    drift_id: str
    pipeline: str
    window_start: float
    window_end: float
    share: float
    events: int
    features: list[FeatureSkew]
    left_out: dict[str, int] = {}


DriftRecord = FeatureDrift | WindowSummary | SkewReport

_decoder = msgspec.json.Decoder(FeatureDrift | WindowSummary | SkewReport)
_encoder = msgspec.json.Encoder()


def drift_topic(pipeline: str) -> str:
    return f"{pipeline}.drift"


def encode_drift(record: DriftRecord) -> bytes:
    return _encoder.encode(record)


def decode_drift(value: bytes) -> DriftRecord:
    """msgspec.DecodeError for what is no such record."""
    found: DriftRecord = _decoder.decode(value)
    return found


__all__ = [
    "Check",
    "DriftRecord",
    "FeatureDrift",
    "FeatureSkew",
    "Feed",
    "Severity",
    "SkewReport",
    "State",
    "WindowSummary",
    "decode_drift",
    "drift_topic",
    "encode_drift",
]  # fmt: skip
