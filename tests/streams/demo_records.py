"""Records as the monitor writes them, for tests of what the demo makes of them."""

from typing import Any

from streams.monitor.records import Check, FeatureDrift, Feed, State, WindowSummary


def feature(name: str, window: str, state: State = "ok", psi: float | None = 0.01) -> FeatureDrift:
    return FeatureDrift(
        drift_id=f"p/{name}/{window}",
        pipeline="p",
        feature=name,
        window=window,
        type="number",
        model="m",
        model_version=1,
        reference="r",
        window_start=0.0,
        window_end=60.0,
        n=1_840,
        m=100_000,
        effective_n=900.0,
        sampled=1.0,
        psi=psi,
        psi_excess=psi,
        js_distance=None,
        wasserstein=None,
        p=None,
        q=None,
        minimum_detectable_shift=None,
        missing_ratio=0.0,
        unseen_ratio=None,
        below_ratio=None,
        above_ratio=None,
        state=state,
        severity="none",
        why=None,
        alarm_since=None,
        seasonal_psi=None,
        seasonal_p=None,
        history_weeks=0.0,
        bins=[],
        counts=[],
        reference_counts=[],
    )


def summary(window: str, **changes: Any) -> WindowSummary:
    """One failed check of two, one feed of two that is not fresh."""
    usual: dict[str, Any] = {
        "drift_id": f"p//{window}",
        "pipeline": "p",
        "window": window,
        "model": "m",
        "model_version": 1,
        "reference": "r",
        "window_start": 0.0,
        "window_end": 60.0,
        "n": 1_840,
        "repeats": 0,
        "late": 0,
        "sampled": 1.0,
        "state": "drift",
        "severity": "ticket",
        "why": None,
        "drifting": ["distance"],
        "warned": ["seats"],
        "decision_rate": 0.2,
        "decision_rate_last_week": None,
        "decision_band": None,
        "decision_in_band": None,
        "quality_score": 0.975,
        "checks": [
            Check(check="missing", subject="tailnum", passed=False, value=0.3, limit=0.05, text="tailnum is missing in 30 %"),
            Check(check="duplicate", subject=None, passed=True, value=0.0, limit=0.0, text="no id twice"),
        ],
        "feeds": [feed("weather_by_origin", fresh=False), feed("arrival_by_origin", fresh=True)],
    }
    return WindowSummary(**(usual | changes))


def feed(group: str, fresh: bool) -> Feed:
    age = 60.0 if fresh else 10_800.0
    return Feed(
        group=group, missing_ratio=0.0, stale_ratio=0.0, youngest_age=age, age_p50=age, age_p95=age, limit=7_200.0, fresh=fresh
    )
