"""A card-fraud pipeline's drift records as a real case would leave them: 30 features, 40 windows, trouble from window 25 on.

Two features shift and the predictions with them, a category is renamed, a feature goes missing, some wander as AR(1) does. Values
are drawn, binned by the reference's quantiles, and judged by the formulas of docs/topics.md; the same in every call.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy import stats

from streams.monitor.reading import DriftLog, Window, whole_windows
from streams.monitor.records import Check, FeatureDrift, FeatureSkew, Feed, SkewReport, State, WindowSummary
from tests.streams.drift_columns import PREDICTIONS, TURN, Column, M, N, Reference, columns, measured, names

START, HOUR = 1_777_852_800.0, 3600.0  # 2026-05-04 00:00 UTC; a window an hour


@dataclass
class World:
    """The records in the order of the log: each window's features, then its summary; a skew report at the end."""

    pipeline: str = "card-fraud"
    windows: int = 40
    seed: int = 7
    last: dict[str, list[bool]] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)

    def records(self) -> Iterator[FeatureDrift | WindowSummary | SkewReport]:
        dice, made = np.random.default_rng(self.seed), columns()
        references = {column.name: Reference.of(column, column.draw(dice, M, 0, 0.0)) for column in made}
        means = dict.fromkeys(references, 0.0)
        for window in range(self.windows):
            rows = []
            for column in made:
                means[column.name] = 0.9 * means[column.name] + column.wander * dice.standard_normal()
                values = column.draw(dice, N, window, means[column.name])
                rows.append(measured(column, references[column.name], values))
            features = self.judged(made, rows, window)
            yield from features
            yield self.summary(features, window)
        yield skew(self.pipeline, START + self.windows * HOUR)

    def judged(self, made: list[Column], rows: list[dict[str, object]], window: int) -> list[FeatureDrift]:
        p = np.array([row["p"] for row in rows])
        q = stats.false_discovery_control(p)
        out = []
        for column, row, one in zip(made, rows, q.tolist(), strict=True):
            excess = row["psi_excess"]
            assert isinstance(excess, float)
            state, since = self.state(column.name, one < 0.01 and excess > 0.02, window)
            why = {
                "drift": f"q < 0.01 and excess {excess:.2f} > 0.02 in two of the last three windows",
                "warn": "q < 0.01 and excess > 0.02 in this window",
            }
            out.append(self.feature(column, row, window, state=state, alarm_since=since, q=one, why=why.get(state)))
        return out

    def state(self, name: str, alarm: bool, window: int) -> tuple[State, float | None]:
        seen = self.last.setdefault(name, [])
        seen.append(alarm)
        if not any(seen[-3:]):
            self.since.pop(name, None)
            return "ok", None
        since = self.since.setdefault(name, START + window * HOUR)
        return ("drift" if sum(seen[-3:]) >= 2 else "warn" if alarm else "ok"), since

    def feature(self, column: Column, row: dict[str, object], window: int, **judged: object) -> FeatureDrift:
        severity = {"drift": "ticket", "warn": "info"}.get(str(judged["state"]), "none")
        return FeatureDrift(
            drift_id=f"{self.pipeline}/{column.name}/{window:06}",
            pipeline=self.pipeline,
            feature=column.name,
            window=f"{window:06}",
            type="category" if column.categories else "number",
            model=self.pipeline,
            model_version=7,
            reference="9f2c41d07a6be3b1",
            window_start=START + window * HOUR,
            window_end=START + (window + 1) * HOUR - 2.5,
            n=N,
            m=M,
            sampled=1.0,
            severity=severity,  # type: ignore[arg-type]
            seasonal_psi=None,
            seasonal_p=None,
            history_weeks=window / 168,
            **row,  # type: ignore[arg-type]
            **judged,  # type: ignore[arg-type]
        )

    def summary(self, features: list[FeatureDrift], window: int) -> WindowSummary:
        drifting = [one.feature for one in features if one.state == "drift"]
        warned = [one.feature for one in features if one.state == "warn"]
        turned = window >= TURN
        decision = next(one for one in features if one.feature == "prediction.decision")
        rate = decision.counts[1] / decision.n
        return WindowSummary(
            drift_id=f"{self.pipeline}//{window:06}",
            pipeline=self.pipeline,
            window=f"{window:06}",
            model=self.pipeline,
            model_version=7,
            reference="9f2c41d07a6be3b1",
            window_start=START + window * HOUR,
            window_end=START + (window + 1) * HOUR - 2.5,
            n=N,
            repeats=3 if window % 9 == 3 else 0,
            late=2,
            sampled=1.0,
            state="drift" if drifting else "warn" if warned else "ok",
            severity="ticket" if drifting else "info" if warned else "none",
            why=f"{len(drifting)} features drift" if drifting else None,
            drifting=drifting,
            warned=warned,
            decision_rate=rate,
            decision_rate_last_week=None,
            decision_band=(0.01, 0.04),
            decision_in_band=0.01 <= rate <= 0.04,
            quality_score=sum(check.passed is True for check in checks(turned))
            / sum(check.passed is not None for check in checks(turned)),
            checks=checks(turned),
            feeds=feeds(turned),
        )


@cache
def log(windows: int = 40) -> DriftLog:
    """The whole world as it is read back from its topic."""
    records = list(World(windows=windows).records())
    skew = records[-1]
    assert isinstance(skew, SkewReport)
    return DriftLog(whole_windows(records, from_the_first=True), skew)


def example() -> DriftLog:
    """The world with some of its features only, as docs/reading-drift.md shows it."""
    raw = {"amount", "distance_km", "device_age_days", "merchant_category", "country"}
    kept = raw | {"payment_by_user.amount.mean.24h", *PREDICTIONS}
    windows = (Window(one.summary, tuple(f for f in one.features if f.feature in kept)) for one in log().windows)
    return DriftLog(tuple(windows), log().skew)


def checks(turned: bool) -> list[Check]:
    made = [
        Check(check="missing", subject=name, passed=True, value=0.002, limit=0.05, text=f"{name} is missing in 0.2 % of events")
        for name in names()
        if name != "device_age_days"
    ]
    share, unseen = (0.4, 0.25) if turned else (0.002, 0.0)
    made += [
        Check(
            check="missing",
            subject="device_age_days",
            passed=not turned,
            value=share,
            limit=0.05,
            text=f"device_age_days is missing in {share:.1%} of events",
        ),
        Check(
            check="unseen",
            subject="merchant_category",
            passed=not turned,
            value=unseen,
            limit=0.01,
            text=f"merchant_category has values that training never saw in {unseen:.0%} of events",
        ),
        Check(
            check="volume",
            subject=None,
            passed=None,
            value=1_000.0,
            limit=None,
            text="there is no week of history to compare with",
        ),
    ]
    return made


def feeds(turned: bool) -> list[Feed]:
    def feed(group: str, stale: float, middle: float, limit: float) -> Feed:
        return Feed(
            group=group,
            missing_ratio=0.01,
            stale_ratio=stale,
            youngest_age=1.0,
            age_p50=middle,
            age_p95=middle * 3,
            limit=limit,
            fresh=stale < 0.01,
        )

    return [
        feed("payment_by_user", 0.0, 41.0, 300.0),
        feed("payment_by_merchant", 0.0, 12.0, 300.0),
        feed("weather", 0.31 * turned, 5_400.0 if turned else 900.0, 7_200.0),
    ]


def skew(pipeline: str, end: float) -> SkewReport:
    found = [
        FeatureSkew(
            feature=name, compared=412, mismatches=9 if "std.24h" in name else 0, ratio=(9 if "std.24h" in name else 0) / 412
        )
        for name in names()
    ]
    return SkewReport(
        drift_id=f"{pipeline}/skew/{end:.0f}",
        pipeline=pipeline,
        window_start=end - 24 * HOUR,
        window_end=end,
        share=0.01,
        events=412,
        features=found,
    )
