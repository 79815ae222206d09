"""Scenarios of models, feeds, drift, quality, processes and jobs."""

from math import ceil

from monitors.alerts.burn import ESCALATE_RATE
from monitors.alerts.scenarios.healthy import Names
from monitors.alerts.scenarios.series import Scenario, Values, always, counts, holds
from monitors.alerts.scenarios.spending import Spending
from monitors.alerts.subject import Feed

DAY_MINUTES = 1440.0


def watched(names: Names) -> list[Scenario]:
    """What the model is, what it is fed with, and what the monitor says of both."""
    return [*_model(names), *_feeds(names), *_drift(names), *_quality(names), *_processes(names), *_jobs(names)]


def _model(names: Names) -> list[Scenario]:
    return [*_versions(names), *_age(names)]


def _versions(names: Names) -> list[Scenario]:
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
    ]


def _age(names: Names) -> list[Scenario]:
    days = names.subject.objectives.model_age_days
    if days is None:
        return []
    return [
        Scenario(
            name=f"the model grows {days:g} days old",
            minutes=60,
            changes={names.worker("model_trained_timestamp_seconds", model="model"): always(60 * 20 - days * 86_400)},
            fires={15: [], 40: ["TidegateModelOld"]},
        )
    ]


def _idle(names: Names) -> dict[str, Values]:
    """No events, where only what is watched matters."""
    return {one: always(0) for one in (names.published, names.in_time, names.events("scored"))}


FROZEN = 80.0  # the minute at which a feed's last event comes: an hour's window is full by then


def _feeds(names: Names) -> list[Scenario]:
    """The feed that may be least old freezes: beyond an hour's budget, over a restart of the worker, beyond three days'."""
    if not names.subject.feeds:
        return []
    feed = min(names.subject.feeds, key=lambda each: each.limit_seconds)
    fresh = names.subject.objectives.fresh
    return [_freezes(names, feed, fresh), _freezes_over_a_restart(names, feed, fresh), *_freezes_long(names, feed, fresh)]


def _freezes(names: Names, feed: Feed, fresh: float | None) -> Scenario:
    """Too old for as much of an hour as the second step of the budget's page takes, and a quarter of an hour more."""
    merges, limit = names.feed(feed.group), feed.limit_seconds / 60
    burns = 0 if fresh is None else ceil(60 * ESCALATE_RATE * (1 - fresh)) + 12
    old, thaw = FROZEN + limit, FROZEN + limit + burns + 15
    budget = ["TidegateFreshnessBurn", "TidegateFreshnessBurnFast"] if burns else []
    return Scenario(
        name=f"{feed.group} freezes: a page when it is too old" + (", and the second step when that lasts" if burns else ""),
        minutes=thaw + 20,
        changes={merges: counts((FROZEN, 60), (thaw, 0), (thaw + 1, 60 * (thaw + 1 - FROZEN)), (thaw + 20, 60))},
        fires={
            old - 1: [],
            old + 2: ["TidegateFeedFrozen", *Spending(fresh).paged("Freshness", 1 / 60)],
            thaw - 1: ["TidegateFeedFrozen", *budget],
            thaw + 12: [],
        },
    )


def _freezes_over_a_restart(names: Names, feed: Feed, fresh: float | None) -> Scenario:
    end = FROZEN + feed.limit_seconds / 60 + 30
    return Scenario(
        name=f"{feed.group} freezes and the worker restarts: it does not look fresh for that",
        minutes=end,
        changes={
            names.feed(feed.group): holds((FROZEN, 60 * FROZEN), (FROZEN + 0.5, None), (end, 0)),
            names.process("start_time_seconds", instance=1): holds((FROZEN, 0), (FROZEN + 0.5, None), (end, 60 * FROZEN + 30)),
        },
        fires={end - 28: ["TidegateFeedFrozen", *Spending(fresh).paged("Freshness", 1 / 60)]},
    )


def _freezes_long(names: Names, feed: Feed, fresh: float | None) -> list[Scenario]:
    if fresh is None:
        return []
    begin, limit = 3 * DAY_MINUTES, feed.limit_seconds / 60
    stale = 1.4 * begin * (1 - fresh)
    thaw = begin + 30 * ceil((limit + stale) / 30)
    return [
        Scenario(
            name=f"{feed.group} was too old for more than what the objective allows of three days: a ticket, after the pages",
            minutes=thaw + 200,
            changes={
                names.feed(feed.group): counts((begin, 60), (thaw, 0), (thaw + 2, 30 * (thaw + 2 - begin)), (thaw + 200, 60)),
                **_idle(names),
            },
            fires={begin: [], thaw + 90: ["TidegateFreshnessBurnSlow"]},
            step_seconds=120,
            days=True,
        )
    ]


def _drift(names: Names) -> list[Scenario]:
    state, severity = (names(f"feature_drift_{what}", feature="amount") for what in ("state", "severity"))
    predicted = names("feature_drift_state", feature="prediction.score")
    return [
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
        *_drift_budget(names),
        _blind(names),
        *_decisions(names),
    ]


def _drift_budget(names: Names) -> list[Scenario]:
    if (undrifted := names.subject.objectives.undrifted) is None:
        return []
    some, many = 0.8 * (1 - undrifted), min(1, 1.6 * (1 - undrifted))
    ok, drifting = (names("feature_windows_total", state=one) for one in ("ok", "drift"))
    middle, end = 3 * DAY_MINUTES, 6 * DAY_MINUTES
    return [
        Scenario(
            name=f"{100 * many:.3g} % of features' windows drift, for days: the budget's ticket; {100 * some:.3g} %: silence",
            minutes=end,
            changes={
                ok: counts((middle, 10 * (1 - some)), (end, 10 * (1 - many))),
                drifting: counts((middle, 10 * some), (end, 10 * many)),
                **_idle(names),
            },
            fires={middle - 60: [], end - 60: ["TidegateDriftBurnSlow"]},
            step_seconds=240,
            days=True,
        )
    ]


def _blind(names: Names) -> Scenario:
    known, unknown = (names("drift_windows_total", state=state) for state in ("ok", "unknown"))
    day = DAY_MINUTES
    return Scenario(
        name="rows come, and no window can be judged: a ticket after three days",
        minutes=5 * day,
        changes={known: counts((day, 1), (5 * day, 0)), unknown: counts((day, 0), (5 * day, 1)), **_idle(names)},
        fires={3 * day: [], 4.5 * day: ["TidegateDriftBlind"]},
        step_seconds=240,
        days=True,
    )


def _decisions(names: Names) -> list[Scenario]:
    if not names.subject.has_band:
        return []
    return [
        Scenario(
            name="decisions are outside their band for one window, then for two",
            minutes=60,
            changes={names("decision_rate_breaches"): holds((10, 0), (20, 1), (30, 0), (40, 2), (60, 0))},
            fires={15: [], 35: ["TidegateDecisionRate"], 50: []},
        )
    ]


def _quality(names: Names) -> list[Scenario]:
    declared = names.subject.objectives
    return [
        Scenario(
            name="checks fail: a ticket below the declared score",
            minutes=60,
            changes={names("data_quality_score"): holds((20, declared.quality), (40, 0.9 * declared.quality), (60, 1))},
            fires={15: [], 30: ["TidegateQualityLow"], 50: []},
        ),
        Scenario(
            name="served values differ offline: a ticket above the declared share",
            minutes=60,
            changes={names("skew_ratio", feature="amount"): holds((20, declared.skew), (40, declared.skew + 0.01), (60, 0))},
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
    ]


def _jobs(names: Names) -> list[Scenario]:
    if names.subject.objectives.jobs is None:
        return []
    return [
        Scenario(
            name="training fails once: a ticket",
            minutes=60,
            changes={names("job_runs_total", job="train", result="failed"): holds((20, 0), (60, 1))},
            fires={19: [], 40: ["TidegateJobsBurnSlow"]},
        )
    ]
