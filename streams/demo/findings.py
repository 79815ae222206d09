"""What the monitor has said so far of the replay: its last window, and when each feature first drifted. How records come here is
drift_reader.py's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from streams.monitor.records import DriftRecord, FeatureDrift, Feed, SkewReport, WindowSummary

PREDICTION = "prediction."  # of the score, the decision and the confidence, which are judged as features are
_ORDER = {"drift": 0, "warn": 1, "ok": 2, "unknown": 3}


@dataclass(frozen=True, slots=True)
class Findings:
    """At one moment. Times are the broker's, seconds since the epoch.

    ``windows`` that were judged; ``last`` of them and its ``features``, the worst first; ``published``: when the monitor said it.
    ``first_drift``: when each feature was first said to drift.
    """

    windows: int = 0
    last: WindowSummary | None = None
    published: float = 0.0
    features: tuple[FeatureDrift, ...] = ()
    first_drift: Mapping[str, float] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[FeatureDrift, ...]:
        """The last window's features without the predictions."""
        return tuple(one for one in self.features if not one.feature.startswith(PREDICTION))

    @property
    def predictions(self) -> tuple[FeatureDrift, ...]:
        return tuple(one for one in self.features if one.feature.startswith(PREDICTION))

    @property
    def stale_feeds(self) -> tuple[Feed, ...]:
        """The last window's feeds that are not fresh."""
        return tuple(feed for feed in self.last.feeds if feed.fresh is False) if self.last else ()

    def after(self, summary: WindowSummary, features: tuple[FeatureDrift, ...], published: float) -> "Findings":
        """With one window more."""
        drifting = {one.feature: published for one in features if one.state == "drift"}
        return replace(
            self,
            windows=self.windows + 1,
            last=summary,
            published=published,
            features=tuple(sorted(features, key=_badness)),
            first_drift={**drifting, **self.first_drift},
        )


class Reading:
    """Puts windows together: a window's features come first, then its summary; of records with one id the first counts."""

    def __init__(self) -> None:
        self.found = Findings()  # replaced, never changed: another thread may look
        self._features: dict[str, dict[str, FeatureDrift]] = {}
        self._whole: set[str] = set()

    def take(self, record: DriftRecord, published: float) -> None:
        """One record, and the broker's timestamp of it in seconds."""
        if isinstance(record, SkewReport) or record.window in self._whole:
            return
        if isinstance(record, FeatureDrift):
            self._features.setdefault(record.window, {}).setdefault(record.drift_id, record)
            return
        self._whole.add(record.window)
        features = self._features.pop(record.window, {})
        self.found = self.found.after(record, tuple(features.values()), published)


def _badness(one: FeatureDrift) -> tuple[int, float]:
    return _ORDER[one.state], -(one.psi or 0.0)
