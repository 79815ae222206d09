"""The drift statistics against generated streams of which the truth is known: false alarms, shifts, a ramp, partitions.

References are of 200,000 rows of 20 features, windows of 1,000 events, independent or AR(1) with phi = 0.9. Findings are over
several references, since a profile's threshold is as good as its rows.
"""

from collections.abc import Iterator

import numpy as np
from rich.console import Console

from benchmarks.accept.drift_streams import judged, nothing, numbers, tallied, values
from benchmarks.report import Row, at_least, at_most
from monitors.drift.episode import DAY, WEEK, FeatureMemory
from monitors.drift.judge import judge
from monitors.drift.profile import Profile
from monitors.drift.season import HOUR, Season
from monitors.drift.statistics import Floats
from monitors.drift.tally import Binner, Tally

FEATURES, EVENTS, REFERENCE_ROWS, PHI = 20, 1_000, 200_000, 0.9
QUIET_WINDOWS, REFERENCES, RUNS = 500, 4, 200
WITHIN = 3  # windows
RAMP_PER_WEEK, RAMPS, WEEKS_BEFORE, WEEKS_MOST = 0.05, 3, 4, 8
PARTITIONS, COMPARED_WINDOWS = 4, 50
SEED = 1
STREAMS = (("independent", 0.0), ("AR(1) 0.9", PHI))


def accept(console: Console, seed: int = SEED) -> list[Row]:
    """Every row; a minute."""
    rows = []
    for measure in (false_alarms, known_shift, stated_shift, ramp, partitions):
        for row in measure(seed):
            console.print(f"{row.name}: {row.value:g} {row.unit}", highlight=False)
            rows.append(row)
    return rows


def false_alarms(seed: int) -> Iterator[Row]:
    """Windows without drift in which any feature alarms."""
    for name, phi in STREAMS:
        profile = numbers(values(REFERENCE_ROWS, FEATURES, phi, seed))
        quiet = list(judged(profile, values(QUIET_WINDOWS * EVENTS, FEATURES, phi, seed + 1)))
        share = np.mean([any(one.state == "drift" for one in window) for window in quiet])
        yield at_most(f"drift/false alarms, {name}", 100 * float(share), "% of windows", 1.0)


def known_shift(seed: int) -> Iterator[Row]:
    """0.3 sd in one of the features, independent samples."""
    found = [_found(profile, 0.3, 0.0, part) for profile, part in _references(0.0, seed)]
    yield at_least("drift/0.3 sd found within 3 windows, independent", 100 * float(np.mean(found)), "% of runs", 95.0)


def stated_shift(seed: int) -> Iterator[Row]:
    """The minimum detectable shift that each feature's own record states."""
    for name, phi in STREAMS:
        found = [_found(profile, None, phi, part) for profile, part in _references(phi, seed + 100)]
        share = 100 * float(np.mean(found))
        yield at_least(f"drift/stated shift found within 3 windows, {name}", share, "% of runs", 80.0)
        yield at_most(f"drift/stated shift is the least, {name}", share, "% of runs", 99.0)


def _references(phi: float, seed: int) -> Iterator[tuple[Profile, int]]:
    for part in range(REFERENCES):
        yield numbers(values(REFERENCE_ROWS, FEATURES, phi, seed + 10 * part)), seed + 10 * part


def _found(profile: Profile, shift: float | None, phi: float, seed: int) -> float:
    """Share of a reference's runs in which the shift, up or down, of one feature after another, alarms; None: the stated one."""
    runs = RUNS // REFERENCES
    rows = values(runs * WITHIN * EVENTS, FEATURES, phi, seed + 1).reshape(runs, WITHIN * EVENTS, FEATURES)
    return float(np.mean([_alarms(profile, rows[run], run % FEATURES, shift, (-1) ** run) for run in range(runs)]))


def _alarms(profile: Profile, rows: Floats, column: int, shift: float | None, sign: int) -> bool:
    feature = profile.features[column]
    by = feature.shift_at(EVENTS) if shift is None else shift
    if by is None or feature.sd is None:
        raise RuntimeError(f"{feature.name} has no minimum detectable shift")
    rows[:, column] += sign * by * feature.sd
    return any(window[column].state == "drift" for window in judged(profile, rows))


def ramp(seed: int) -> Iterator[Row]:
    """The week of a ramp's first ticket, the latest of several; four weeks of history before it, a window an hour."""
    weeks = [_ticketed(numbers(values(REFERENCE_ROWS, FEATURES, 0.0, seed + part)), seed + 50 + part) for part in range(RAMPS)]
    yield at_most(f"drift/ramp of {RAMP_PER_WEEK} sd a week ticketed", max(weeks), "weeks", 6.0)


def _ticketed(profile: Profile, seed: int) -> float:
    season, random, binner = Season(), np.random.default_rng(seed), Binner(profile)
    memory: list[FeatureMemory] = []
    for hour in range(int((WEEKS_BEFORE + WEEKS_MOST) * WEEK / HOUR)):
        start, end = hour * HOUR, (hour + 1) * HOUR
        weeks = end / WEEK - WEEKS_BEFORE
        rows = random.normal(size=(EVENTS, FEATURES))
        rows[:, 0] += RAMP_PER_WEEK * max(weeks, 0.0)
        tally = Tally.empty(profile)
        binner.add(tally, np.column_stack([rows, nothing(EVENTS)]))
        found, memory = judge(profile, tally, start, end, memory, season.context(start), EVENTS)
        season.add(start, tally)
        if weeks > 0 and found[0].severity == "ticket":
            return weeks
    return float("inf")


def partitions(seed: int) -> Iterator[Row]:
    """Fields of judgements that differ between one partition and four, whose chunks come in any order."""
    random = np.random.default_rng(seed)
    profile = numbers(values(REFERENCE_ROWS, FEATURES, PHI, seed))
    one: list[FeatureMemory] = []
    four: list[FeatureMemory] = []
    differences = 0
    for window, rows in enumerate(values(COMPARED_WINDOWS * EVENTS, FEATURES, PHI, seed + 1).reshape(-1, EVENTS, FEATURES)):
        rows[random.random(rows.shape) < 0.01] = np.nan
        end = window * DAY
        whole, one = judge(profile, tallied(profile, rows), end - DAY, end, one, None, EVENTS)
        parted, four = judge(profile, _merged(profile, rows, random), end - DAY, end, four, None, EVENTS)
        differences += sum(
            getattr(a, name) != getattr(b, name) for a, b in zip(whole, parted, strict=True) for name in a.__dataclass_fields__
        )
    yield at_most(f"drift/{PARTITIONS} partitions against 1", differences, "fields that differ", 0.0)


def _merged(profile: Profile, rows: Floats, random: np.random.Generator) -> Tally:
    """The tally of rows spread over partitions, each read in chunks, all of which come in any order."""
    partition = random.integers(0, PARTITIONS, len(rows))
    chunks = [
        chunk for number in range(PARTITIONS) for chunk in np.array_split(rows[partition == number], int(random.integers(1, 9)))
    ]
    total = Tally.empty(profile)
    for place in random.permutation(len(chunks)).tolist():
        total.merge(Tally.from_bytes(tallied(profile, chunks[place]).to_bytes()))
    return total
