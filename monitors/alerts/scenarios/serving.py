"""Scenarios of events that are not scored, late, or broken; each objective as the defaults have it."""

from monitors.alerts.scenarios.healthy import EVENTS_PER_MINUTE, Names
from monitors.alerts.scenarios.series import Scenario, Values, always, counts, holds

NEW = "TidegateDeadLetterReasonNew"
A_TENTH_PERCENT = EVENTS_PER_MINUTE / 1000


def serving(names: Names) -> list[Scenario]:
    """Around budgets of 99.9 % of the events scored and 95 % within the bound; only for pipelines that declare no others."""
    return [*_scoring(names), *_quiet(names), *_rejects(names), *_latency(names)]


def _failing(names: Names, *phases: tuple[float, float]) -> dict[str, Values]:
    return {names.events("failed"): counts(*phases)}


def _scoring(names: Names) -> list[Scenario]:
    return [
        Scenario(
            name="0.3 % of the events fail for an hour: a page; over when they no longer do",
            minutes=110,
            changes=_failing(names, (10, 0), (70, 3 * A_TENTH_PERCENT), (110, 0)),
            fires={9: [], 60: ["TidegateScoringBurn"], 80: []},
        ),
        Scenario(
            name="0.15 % fail: within what may not page",
            minutes=80,
            changes=_failing(names, (0, 1.5 * A_TENTH_PERCENT)),
            fires={15: [], 75: []},
        ),
        Scenario(
            name="1 % fail: the page and its second step",
            minutes=60,
            changes=_failing(names, (10, 0), (60, 10 * A_TENTH_PERCENT)),
            fires={9: [], 55: ["TidegateScoringBurn", "TidegateScoringBurnFast"]},
        ),
        Scenario(
            name="0.12 % fail for two days: nobody is woken, a ticket is made",
            minutes=4320,
            changes=_failing(names, (1440, 0), (4320, 1.2 * A_TENTH_PERCENT)),
            fires={1410: [], 2160: [], 4290: []},
            step_seconds=120,
            days=True,
        ),
        Scenario(
            name="0.2 % fail for days: a ticket",
            minutes=4320,
            changes=_failing(names, (720, 0), (4320, 1.9 * A_TENTH_PERCENT)),
            fires={690: [], 4290: ["TidegateScoringBurnSlow"]},
            step_seconds=120,
            days=True,
        ),
    ]


def _quiet(names: Names) -> list[Scenario]:
    """10 events an hour."""
    each = 10 / 60
    scored, failed = names.events("scored"), names.events("failed")
    bucket, late = names.in_time, names.worker("end_to_end_seconds_count", outcome="scored")
    none = {late: always(0), bucket: always(0)}
    return [
        Scenario(
            name="10 events an hour, all of which fail from the first hour on: pages within 2.5 h",
            minutes=240,
            changes={scored: counts((60, each), (240, 0)), failed: counts((60, 0), (240, each)), **none},
            fires={59: [], 150: [], 210: ["TidegateScoringQuiet"]},
        ),
        Scenario(
            name="10 events an hour, of which one an hour fails: 6 in 6 hours are too few for a page",
            minutes=400,
            changes={scored: counts((0, 9 / 60)), failed: counts((0, 1 / 60)), **none},
            fires={200: [], 340: [], 390: ["TidegateScoringBurnSlow"]},
            step_seconds=60,
        ),
        Scenario(
            name="10 events an hour, all of them late: pages, too",
            minutes=240,
            changes={
                scored: counts((0, each)),
                late: counts((0, each)),
                bucket: counts((60, each), (240, 0)),
            },
            fires={59: [], 150: [], 210: ["TidegateLatencyQuiet"]},
        ),
    ]


def _rejects(names: Names) -> list[Scenario]:
    letters = names.letters("contract")
    return [
        Scenario(
            name="40 % of the records are refused: rejects page, and the budget of the scored is not touched",
            minutes=45,
            changes={
                names.events("rejected"): counts((10, 0), (30, 800), (45, 0)),
                letters: counts((10, 0), (30, 800), (45, 0)),
            },
            fires={
                9: [],
                14: [NEW],
                20: [NEW, "TidegateRejects"],
                44: [NEW],
            },
        ),
        Scenario(
            name="0.8 % are refused, all the time: a ticket while the reason is new, then silence",
            minutes=140,
            changes={names.events("rejected"): counts((0, 9.6)), letters: counts((0, 9.6))},
            fires={20: [NEW], 130: []},
        ),
        Scenario(
            name="one broken record on a pipeline with 10 events an hour: no page",
            minutes=90,
            changes={
                names.events("scored"): counts((0, 10 / 60)),
                names.events("rejected"): holds((60, 0), (90, 1)),
                letters: holds((60, 0), (90, 1)),
            },
            fires={61: [NEW], 63: [NEW], 70: [NEW]},
        ),
    ]


def _latency(names: Names) -> list[Scenario]:
    bucket = names.in_time
    slow, slower = (
        counts((10, EVENTS_PER_MINUTE), (60, 0.85 * EVENTS_PER_MINUTE), (90, EVENTS_PER_MINUTE)),
        counts((10, EVENTS_PER_MINUTE), (60, 0.6 * EVENTS_PER_MINUTE)),
    )
    burst = counts((20, EVENTS_PER_MINUTE), (24, 0), (60, EVENTS_PER_MINUTE))
    return [
        Scenario(
            name="15 % of the events are late: a page; over when they no longer are",
            minutes=90,
            changes={bucket: slow},
            fires={9: [], 58: ["TidegateLatencyBurn"], 70: []},
        ),
        Scenario(
            name="40 % are late: the page and its second step",
            minutes=60,
            changes={bucket: slower},
            fires={9: [], 58: ["TidegateLatencyBurn", "TidegateLatencyBurnFast"]},
        ),
        Scenario(
            name="a backlog of 100,000 drains in four minutes, every event of it late: no page, and none after it",
            minutes=60,
            changes={
                names.events("scored"): counts((20, EVENTS_PER_MINUTE), (24, 25_000), (60, EVENTS_PER_MINUTE)),
                names.worker("end_to_end_seconds_count", outcome="scored"): counts(
                    (20, EVENTS_PER_MINUTE), (24, 25_000), (60, EVENTS_PER_MINUTE)
                ),
                bucket: burst,
                names.lag("lag_records"): holds((19.5, 0), (21, 100_000), (22, 75_000), (23, 50_000), (24, 25_000), (60, 0)),
                names.lag("lag_seconds"): holds((19.5, 0), (21, 100), (22, 130), (23, 150), (24, 180), (60, 0)),
            },
            fires={21: [], 23: [], 24: [], 25: [], 26: [], 27: [], 28: [], 29: [], 30: [], 31: [], 59: []},
        ),
        Scenario(
            name="7 % are late for days: a ticket",
            minutes=4320,
            changes={bucket: counts((720, EVENTS_PER_MINUTE), (4320, 0.93 * EVENTS_PER_MINUTE))},
            fires={690: [], 4290: ["TidegateLatencyBurnSlow"]},
            step_seconds=120,
            days=True,
        ),
    ]
