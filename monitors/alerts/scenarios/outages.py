"""Scenarios of processes, Redis, Kafka and producers that are away, workers that stand, and an ordinary hour."""

from monitors.alerts.scenarios.healthy import CLOCK, EVENTS_PER_MINUTE, LOOKED, Names
from monitors.alerts.scenarios.series import Scenario, Values, always, counts, holds


def outages(names: Names) -> list[Scenario]:
    """Whether the processes are there, and keep up."""
    return [_ordinary(names), *_absent(names), *_lag(names), *_stores(names), *_traffic(names)]


def stopped_at(names: Names, minute: float) -> dict[str, Values]:
    """All workers are gone: no series of them, a lag that grows, and after a minute a verdict on it."""
    gone = ((minute, 0.0), (minute + 60, None))
    each = {
        name: Values(gone if not values.counts else ((minute, values.phases[0][1]), (minute + 60, None)), values.counts)
        for name, values in _of_workers(names).items()
    }
    return {
        **each,
        names.lag("lag_seconds"): Values([(minute, 0.0), (minute + 60, 60.0)], counts=True),
        names.lag("lag_records"): Values([(minute, 0.0), (minute + 60, EVENTS_PER_MINUTE)], counts=True),
        names.lag("lag_status"): holds((minute + 1.2, 0), (minute + 60, 4)),
    }


def _of_workers(names: Names) -> dict[str, Values]:
    busy = counts((0, EVENTS_PER_MINUTE))
    return {
        **{names.process("start_time_seconds", instance=one): always(0) for one in (1, 2)},
        **{names.serves(3, one): always(1) for one in (1, 2)},
        names.events("scored"): busy,
        names.worker("end_to_end_seconds_count", outcome="scored"): busy,
        names.in_time: busy,
        **{names.feed(feed.group): CLOCK for feed in names.subject.feeds},
    }


def _ordinary(names: Names) -> Scenario:
    """At minute 30 version 4 is deployed, and the two workers are restarted for it, one after the other."""
    return Scenario(
        name="an hour of ordinary traffic, with a deployment and a rolling restart: silence",
        minutes=70,
        changes={
            names.expects(3): holds((30, 1), (70, None)),
            names.expects(4): holds((30, None), (70, 1)),
            **{names.serves(3, one): holds((30 + 0.5 * one, 1), (70, None)) for one in (1, 2)},
            **{names.serves(4, one): holds((30.5 + 0.5 * one, None), (70, 1)) for one in (1, 2)},
            **{
                names.process("start_time_seconds", instance=one): holds(
                    (30 + 0.5 * one, 0), (30.5 + 0.5 * one, None), (70, 60 * (30 + 0.5 * one))
                )
                for one in (1, 2)
            },
            names.worker("rebalances_total"): holds((30, 2), (31, 4), (32, 6), (70, 8)),
            names.lag("lag_seconds"): holds((30, 0), (31, 8), (70, 0.2)),
        },
        fires={15: [], 31: [], 32: [], 34: [], 45: [], 65: []},
    )


def _absent(names: Names) -> list[Scenario]:
    bound = names.subject.objectives.lag_seconds  # after the kill the lag is 120 s in two minutes, and pages five later
    monitor = [names.process("start_time_seconds", "monitor"), names.expects(3)]
    return [
        Scenario(
            name="every worker is killed: absent after two minutes, and within seven the stall and the lag",
            minutes=45,
            changes=stopped_at(names, 20),
            fires={
                19: [],
                21: [],
                23: ["TidegateWorkerAbsent"],
                27: ["TidegateConsumerStalled", *(["TidegateLagHigh"] if bound < 120 else []), "TidegateWorkerAbsent"],
            },
        ),
        Scenario(
            name="the monitor is gone for four minutes, then for ten",
            minutes=60,
            changes={one: holds((20, 1), (24, None), (35, 1), (45, None), (60, 1)) for one in monitor},
            fires={19: [], 24: [], 44: ["TidegateMonitorAbsent"], 50: []},
        ),
        Scenario(
            name="the lag process is gone",
            minutes=40,
            changes={LOOKED: Values([(20, 60.0), (40, None)], counts=True)},
            fires={24: [], 27: ["TidegateLagAbsent"]},
        ),
        Scenario(
            name="Kafka does not answer the lag process",
            minutes=40,
            changes={LOOKED: counts((20, 60), (30, 0), (31, 660), (40, 60))},
            fires={21: [], 24: ["TidegateKafkaSilent"], 36: []},
        ),
    ]


def _lag(names: Names) -> list[Scenario]:
    seconds, records, status = names.lag("lag_seconds"), names.lag("lag_records"), names.lag("lag_status")
    bound = names.subject.objectives.lag_seconds
    return [
        Scenario(
            name="workers fall behind and do not catch up: a page; over once they do",
            minutes=60,
            changes={
                seconds: counts((10, 0), (30, bound / 3), (60, -bound / 5)),
                records: counts((10, 0), (30, 400), (60, -260)),
            },
            fires={9: [], 14: [], 22: ["TidegateLagHigh"], 33: [], 59: []},
        ),
        Scenario(
            name=f"{7 * bound:g} s behind and catching up slowly: silence",
            minutes=60,
            changes={seconds: counts((0.5, 14 * bound), (60, -bound / 10)), records: counts((0.5, 16_000), (60, -120))},
            fires={10: [], 30: [], 55: []},
        ),
        Scenario(
            name="one partition stands for three minutes, then for six",
            minutes=60,
            changes={status: holds((20, 0), (23, 3), (40, 0), (47, 3), (60, 0))},
            fires={23: [], 46: ["TidegateConsumerStalled"], 50: []},
        ),
        Scenario(
            name="half of the retention is used, and records are lost",
            minutes=60,
            changes={
                names.lag("retention_used_ratio"): holds((10, 0.4), (20, 0.55), (60, 0.1)),
                names.lag("lost_records"): holds((40, 0), (50, 17), (60, 0)),
            },
            fires={9: [], 15: ["TidegateRetentionUsed"], 25: [], 45: ["TidegateRecordsLost"], 55: []},
        ),
        Scenario(
            name="the monitor is ten minutes behind for ten minutes, then for half an hour",
            minutes=90,
            changes={names.lag("lag_seconds", monitor=True): holds((10, 0), (20, 600), (40, 0), (70, 600), (90, 0))},
            fires={19: [], 60: ["TidegateMonitorLag"], 80: []},
        ),
    ]


def _stores(names: Names) -> list[Scenario]:
    away = names.worker("store_unavailable")
    return [
        Scenario(
            name="Redis is away for half a minute, then for good: a page, and the lag follows",
            minutes=60,
            changes={away: holds((10, 0), (10.5, 1), (30, 0), (60, 1))},
            fires={11: [], 29: [], 33: ["TidegateStoreUnavailable"]},
        )
    ]


def _traffic(names: Names) -> list[Scenario]:
    week, declared = 7 * 24 * 60.0, names.subject.objectives
    scored, slow = (
        names.events("scored"),
        {names.worker("end_to_end_seconds_count", outcome="scored"): always(0), names.in_time: always(0)},
    )
    return [
        Scenario(
            name="no events, though in the same hour last week there were: a page; somewhat more than declared: silence",
            minutes=week + 300,
            changes={scored: counts((week + 60, 60), (week + 120, 60 * min(1, 1.2 * declared.volume)), (week + 200, 0)), **slow},
            fires={week - 60: [], week + 30: [], week + 90: [], week + 180: ["TidegateVolumeLow"]},
            step_seconds=120,
            days=True,
        ),
        Scenario(
            name="no events, though workers are behind: it is theirs, not the producers'",
            minutes=week + 200,
            changes={
                scored: counts((week + 60, 60), (week + 200, 0)),
                names.lag("lag_seconds"): holds((week + 60, 0), (week + 200, 1.5 * declared.lag_seconds)),
                names.lag("lag_records"): counts((week + 60, 0), (week + 200, -1)),
                **slow,
            },
            fires={week + 180: []},
            step_seconds=120,
            days=True,
        ),
        Scenario(
            name="no events in the first week, after a busy hour: a ticket",
            minutes=150,
            changes={
                scored: counts((60, EVENTS_PER_MINUTE), (150, 0)),
                names.worker("end_to_end_seconds_count", outcome="scored"): counts((60, EVENTS_PER_MINUTE), (150, 0)),
                names.in_time: counts((60, EVENTS_PER_MINUTE), (150, 0)),
            },
            fires={59: [], 75: [], 90: ["TidegateTrafficStopped"]},
        ),
    ]
