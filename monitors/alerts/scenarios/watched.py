"""Scenarios of models, feeds, drift, quality, processes and jobs."""

from math import ceil

from monitors.alerts.scenarios.healthy import Names
from monitors.alerts.scenarios.series import Scenario, Values, always, counts, holds


def watched(names: Names) -> list[Scenario]:
    """What the model is, what it is fed with, and what the monitor says of both."""
    return [*_model(names), *_feeds(names), *_drift(names), *_quality(names), *_processes(names)]


def _model(names: Names) -> list[Scenario]:
    return [
        Scenario(
            name="one worker keeps the old version: a page past the grace",
            minutes=60,
            changes={
                names.expects(3): holds((20, 1), (60, None)),
                names.expects(4): holds((20, None), (60, 1)),
                names.serves(3, 1): holds((20.5, 1), (60, None)),
                names.serves(4, 1): holds((20.5, None), (60, 1)),
            },
            fires={19: [], 21: [], 23: ["TidegateModelVersionWrong"]},
        ),
        Scenario(
            name="one worker has no model: a page, too",
            minutes=60,
            changes={names.serves(3, 2): holds((20, 1), (60, None))},
            fires={19: [], 23: ["TidegateModelVersionWrong"]},
        ),
        Scenario(
            name="a worker refuses a version",
            minutes=60,
            changes={names.worker("model_load_failures_total", reason="hash"): holds((20, 0), (60, 1))},
            fires={19: [], 22: ["TidegateModelLoadFailed"], 40: []},
        ),
        Scenario(
            name="the model grows 90 days old",
            minutes=60,
            changes={names.worker("model_trained_timestamp_seconds", model="model"): always(60 * 20 - _age(names))},
            fires={30: [], 40: ["TidegateModelOld"]},
        ),
    ]


def _age(names: Names) -> float:
    days = names.subject.objectives.model_age_days
    return 0.0 if days is None else days * 86_400


def _idle(names: Names) -> dict[str, Values]:
    """No events, where only what is watched matters."""
    return {one: always(0) for one in (names.published, names.in_time, names.events("scored"))}


FROZEN = 80.0  # the minute at which a feed's last event comes: an hour's window is full by then


def _feeds(names: Names) -> list[Scenario]:
    """The feed that may be least old freezes: for half an hour too long, over a restart of the worker, and once in three days."""
    if not names.subject.feeds:
        return []
    feed = min(names.subject.feeds, key=lambda each: each.limit_seconds)
    merges, limit = names.feed(feed.group), feed.limit_seconds / 60
    old, thaw, long_thaw = FROZEN + limit, FROZEN + limit + 30, 4320 + 30 * ceil(limit / 30) + 60
    return [
        Scenario(
            name=f"{feed.group} freezes: a page when it is too old, and the second step when that lasts",
            minutes=thaw + 20,
            changes={merges: counts((FROZEN, 60), (thaw, 0), (thaw + 1, 60 * (limit + 31)), (thaw + 20, 60))},
            fires={
                old - 1: [],
                old + 2: ["TidegateFeedFrozen"],
                old + 15: ["TidegateFeedFrozen", "TidegateFreshnessBurn", "TidegateFreshnessBurnFast"],
                thaw + 12: [],
            },
        ),
        Scenario(
            name=f"{feed.group} freezes and the worker restarts: it does not look fresh for that",
            minutes=old + 30,
            changes={
                merges: holds((FROZEN, 60 * FROZEN), (FROZEN + 0.5, None), (old + 30, 0)),
                names.process("start_time_seconds", instance=1): holds(
                    (FROZEN, 0), (FROZEN + 0.5, None), (old + 30, 60 * FROZEN + 30)
                ),
            },
            fires={old + 2: ["TidegateFeedFrozen"]},
        ),
        Scenario(
            name=f"{feed.group} was too old for an hour of three days: a ticket, after the pages",
            minutes=long_thaw + 200,
            changes={
                merges: counts((4320, 60), (long_thaw, 0), (long_thaw + 2, 30 * (long_thaw - 4318)), (long_thaw + 200, 60)),
                **_idle(names),
            },
            fires={4320: [], long_thaw + 90: ["TidegateFreshnessBurnSlow"]},
            step_seconds=120,
            days=True,
        ),
    ]


def _drift(names: Names) -> list[Scenario]:
    state, severity = (names(f"feature_drift_{what}", feature="amount") for what in ("state", "severity"))
    predicted = names("feature_drift_state", feature="prediction.score")
    ok, drifting = (names("feature_windows_total", state=one) for one in ("ok", "drift"))
    day = 1440.0
    rest = _idle(names)
    found = [
        Scenario(
            name="a feature drifts: a ticket; with the predictions: a page; a warning alone: silence",
            minutes=60,
            changes={
                state: holds((10, 1), (40, 2), (60, 0)),
                severity: holds((10, 0), (40, 2), (60, 0)),
                predicted: holds((25, 0), (40, 2), (60, 0)),
            },
            fires={9: [], 20: ["TidegateFeatureDrift"], 30: ["TidegateDriftWithPredictions", "TidegateFeatureDrift"], 50: []},
        ),
        Scenario(
            name="8 % of the windows of features drift, for days: the budget's ticket; 4 %: silence",
            minutes=6 * day,
            changes={ok: counts((3 * day, 9.6), (6 * day, 9.2)), drifting: counts((3 * day, 0.4), (6 * day, 0.8)), **rest},
            fires={3 * day - 60: [], 6 * day - 60: ["TidegateDriftBurnSlow"]},
            step_seconds=240,
            days=True,
        ),
        Scenario(
            name="rows come, and no window can be judged: a ticket after three days",
            minutes=5 * day,
            changes={
                names("drift_windows_total", state="ok"): counts((day, 1), (5 * day, 0)),
                names("drift_windows_total", state="unknown"): counts((day, 0), (5 * day, 1)),
                **rest,
            },
            fires={3 * day: [], 4.5 * day: ["TidegateDriftBlind"]},
            step_seconds=240,
            days=True,
        ),
    ]
    if names.subject.has_band:
        breaches = names("decision_rate_breaches")
        found.append(
            Scenario(
                name="decisions are outside their band for one window, then for two",
                minutes=60,
                changes={breaches: holds((10, 0), (20, 1), (30, 0), (40, 2), (60, 0))},
                fires={15: [], 35: ["TidegateDecisionRate"], 50: []},
            )
        )
    return found


def _quality(names: Names) -> list[Scenario]:
    declared = names.subject.objectives
    return [
        Scenario(
            name="checks fail: a ticket below the declared score",
            minutes=60,
            changes={names("data_quality_score"): holds((20, declared.quality + 0.01), (40, declared.quality - 0.05), (60, 1))},
            fires={15: [], 30: ["TidegateQualityLow"], 50: []},
        ),
        Scenario(
            name="served values differ offline: a ticket above the declared share",
            minutes=60,
            changes={names("skew_ratio", feature="amount"): holds((20, declared.skew / 2), (40, declared.skew * 3), (60, 0))},
            fires={15: [], 30: ["TidegateSkew"], 50: []},
        ),
    ]


def _processes(names: Names) -> list[Scenario]:
    started = names.process("start_time_seconds")
    return [
        Scenario(
            name="a worker nears its memory limit",
            minutes=60,
            changes={names.process("resident_memory_bytes"): holds((20, 7.9e8), (40, 8.4e8), (60, 4e8))},
            fires={19: [], 24: [], 30: ["TidegateMemoryHigh"], 50: []},
        ),
        Scenario(
            name="a worker restarts twice, and later three times, within 15 minutes",
            minutes=90,
            changes={started: holds((10, 0), (15, 600), (50, 900), (53, 3000), (56, 3180), (90, 3360))},
            fires={18: [], 58: ["TidegateRestarts"], 80: []},
        ),
        Scenario(
            name="partitions are assigned every minute",
            minutes=60,
            changes={names.worker("rebalances_total"): counts((20, 0), (35, 1), (60, 0))},
            fires={19: [], 25: [], 34: ["TidegateRebalances"], 58: []},
        ),
        Scenario(
            name="training fails once: a ticket",
            minutes=60,
            changes={names("job_runs_total", job="train", result="failed"): holds((20, 0), (60, 1))},
            fires={19: [], 40: ["TidegateJobsBurnSlow"]},
        ),
    ]
