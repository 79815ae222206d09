"""Scenarios of events that are not scored, late, or broken, by what the pipeline's objectives allow."""

from monitors.alerts.scenarios.healthy import EVENTS_PER_MINUTE, Names
from monitors.alerts.scenarios.series import Scenario, Values, always, counts, holds
from monitors.alerts.scenarios.spending import Spending

NEW = "TidegateDeadLetterReasonNew"
ONE_IN_TEN = 0.9
DRAINED = "a backlog of 100,000 drains in four minutes, every event of it late: no page, and none after it"


def serving(names: Names) -> list[Scenario]:
    """Around the budgets of events scored and events in time, where they are declared."""
    declared = names.subject.objectives
    scored, fast = Spending(declared.scored), Spending(declared.fast)
    return [*_scoring(names, scored), *_quiet(names), *_rejects(names, scored), *_latency(names, fast), _drain(names)]


def _scoring(names: Names, budget: Spending) -> list[Scenario]:
    if budget.spent is None:
        return []
    percent = budget.percent

    def failing(*phases: tuple[float, float]) -> dict[str, Values]:
        return {names.events("scored"): budget.good(*phases), names.events("failed"): budget.bad(*phases)}

    return [
        Scenario(
            name=f"{percent(3)} of the events fail for an hour: a page; over when they no longer do",
            minutes=110,
            changes=failing((10, 0), (70, 3), (110, 0)),
            fires={9: [], 60: ["TidegateScoringBurn"], 80: []},
        ),
        Scenario(
            name=f"{percent(1.5)} fail: within what may not page",
            minutes=80,
            changes=failing((0, 1.5)),
            fires={15: [], 75: []},
        ),
        Scenario(
            name=f"{percent(10)} fail: the page and its second step",
            minutes=80,
            changes=failing((10, 0), (80, 10)),
            fires={9: [], 75: ["TidegateScoringBurn", "TidegateScoringBurnFast"]},
        ),
        Scenario(
            name=f"{percent(1.2)} fail for two days: nobody is woken, and three days' budget is not gone",
            minutes=4320,
            changes=failing((1440, 0), (4320, 1.2)),
            fires={1410: [], 2160: [], 4290: []},
            step_seconds=120,
            days=True,
        ),
        Scenario(
            name=f"{percent(1.9)} fail for days: a ticket",
            minutes=4320,
            changes=failing((720, 0), (4320, 1.9)),
            fires={690: [], 4290: ["TidegateScoringBurnSlow"]},
            step_seconds=120,
            days=True,
        ),
    ]


def _quiet(names: Names) -> list[Scenario]:
    """10 events an hour."""
    each, declared = 10 / 60, names.subject.objectives
    scored, failed, published, late = names.events("scored"), names.events("failed"), names.published, names.in_time
    none = {published: always(0), late: always(0)}
    found = []
    if declared.scored is not None:
        found = [
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
                fires={200: [], 340: [], 390: ["TidegateScoringBurnSlow"] if declared.scored > ONE_IN_TEN else []},
                step_seconds=60,
            ),
        ]
    if declared.fast is not None:
        found.append(
            Scenario(
                name="10 events an hour, all of them late: pages, too",
                minutes=240,
                changes={scored: counts((0, each)), published: counts((0, each)), late: counts((60, each), (240, 0))},
                fires={59: [], 150: [], 210: ["TidegateLatencyQuiet"]},
            )
        )
    return found


def _rejects(names: Names, budget: Spending) -> list[Scenario]:
    """Records that are refused for a reason that is their producers' fault; where none is, they spend the budget as well."""
    declared = names.subject.objectives
    reason = "contract" if "contract" in declared.producer_errors else next(iter(declared.producer_errors), "contract")
    letters = names.letters(reason)
    many, few = max(0.4, 0.5 + declared.rejected / 2), 0.8 * declared.rejected

    def refused(share: float, *phases: tuple[float, float]) -> dict[str, Values]:
        """So many of all."""
        values = counts(*((until, on * share / (1 - share) * EVENTS_PER_MINUTE) for until, on in phases))
        return {names.events("rejected"): values, letters: values}

    def spends(share: float) -> list[str]:
        return [] if declared.producer_errors else budget.paged("Scoring", share)

    steady = Scenario(
        name=f"{100 * few:.3g} % are refused, all the time: a ticket while the reason is new, then silence",
        minutes=140,
        changes=refused(few, (0, 1)),
        fires={20: [NEW, *spends(few)], 130: spends(few)},
    )
    return [
        Scenario(
            name=f"{100 * many:.3g} % of the records are refused ({reason}): rejects page",
            minutes=45,
            changes=refused(many, (10, 0), (30, 1), (45, 0)),
            fires={
                9: [],
                14: [NEW, *spends(many)],
                20: [NEW, "TidegateRejects", *spends(many)],
                44: [NEW],
            },
        ),
        *([steady] if few else []),
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


def _latency(names: Names, budget: Spending) -> list[Scenario]:
    if budget.spent is None:
        return []
    percent = budget.percent
    return [
        Scenario(
            name=f"{percent(3)} of the events are late: a page; over when they no longer are",
            minutes=90,
            changes={names.in_time: budget.good((10, 0), (60, 3), (90, 0))},
            fires={9: [], 58: ["TidegateLatencyBurn"], 70: []},
        ),
        Scenario(
            name=f"{percent(8)} are late: the page and its second step",
            minutes=80,
            changes={names.in_time: budget.good((10, 0), (80, 8))},
            fires={9: [], 75: ["TidegateLatencyBurn", "TidegateLatencyBurnFast"]},
        ),
        Scenario(
            name=f"{percent(1.4)} are late for days: a ticket",
            minutes=4320,
            changes={names.in_time: budget.good((720, 0), (4320, 1.4))},
            fires={690: [], 4290: ["TidegateLatencyBurnSlow"]},
            step_seconds=120,
            days=True,
        ),
    ]


def _drain(names: Names) -> Scenario:
    drifting = {
        names("feature_drift_state", feature=one): holds((22, 0), (28, 2), (60, 0)) for one in ("amount", "prediction.score")
    }
    drained = counts((20, EVENTS_PER_MINUTE), (24, 25_000), (60, EVENTS_PER_MINUTE))
    return Scenario(
        name=DRAINED,
        minutes=60,
        changes={
            names.events("scored"): drained,
            names.published: drained,
            names.in_time: counts((20, EVENTS_PER_MINUTE), (24, 0), (60, EVENTS_PER_MINUTE)),
            names.lag("lag_records"): holds((19.5, 0), (21, 100_000), (22, 75_000), (23, 50_000), (24, 25_000), (60, 0)),
            names.lag("lag_seconds"): holds((19.5, 0), (21, 100), (22, 130), (23, 150), (24, 180), (60, 0)),
            **drifting,
        },
        fires={21: [], 23: [], 24: [], 25: [], 26: [], 27: [], 28: [], 29: [], 30: [], 31: [], 59: []},
    )
