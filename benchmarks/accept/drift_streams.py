"""Generated streams with and without memory, their profiles and windows: for the acceptance and for tests."""

from collections.abc import Iterator

import numpy as np
from scipy.signal import lfilter

from monitors.drift.episode import FeatureMemory
from monitors.drift.judge import Judgement, judge
from monitors.drift.profile import PREDICTIONS, Profile
from monitors.drift.reference import Windows, build_profile
from monitors.drift.season import SeasonContext
from monitors.drift.statistics import Floats
from monitors.drift.tally import Binner, Tally

WARM_UP = 200  # rows until an AR(1) has forgotten where it began


def values(rows: int, features: int = 1, phi: float = 0.0, seed: int = 1) -> Floats:
    """AR(1) columns of mean 0 and sd 1; shape (rows, features)."""
    noise = np.random.default_rng(seed).normal(size=(rows + WARM_UP, features))
    found: Floats = lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise, axis=0)[WARM_UP:]
    return found


def nothing(rows: int) -> Floats:
    """Predictions of a task that says nothing."""
    return np.full((rows, len(PREDICTIONS)), np.nan)


THOUSAND = Windows(events=1_000)


def numbers(matrix: Floats, windows: Windows = THOUSAND) -> Profile:
    """The profile of number columns f0, f1, ..., a row a second."""
    names = [f"f{i}" for i in range(matrix.shape[1])]
    return build_profile(matrix, np.arange(float(len(matrix))), names, ["number"] * len(names), nothing(1), windows=windows)


def categories(column: Floats, events: int = 1_000) -> Profile:
    """The profile of one category column, c."""
    return build_profile(
        column[:, None], np.arange(float(len(column))), ["c"], ["category"], nothing(1), windows=Windows(events=events)
    )


def tallied(profile: Profile, matrix: Floats) -> Tally:
    """A tally of rows of the vector, without predictions."""
    tally = Tally.empty(profile)
    Binner(profile).add(tally, np.column_stack([matrix, nothing(len(matrix))]))
    return tally


def judged(
    profile: Profile, matrix: Floats, season: SeasonContext | None = None, minimum_events: int = 200
) -> Iterator[list[Judgement]]:
    """Window after window of the profile's size, one an hour."""
    memory: list[FeatureMemory] = []
    events = profile.window_events or profile.chunk_events
    for hour, start in enumerate(range(0, len(matrix) - events + 1, events)):
        tally = tallied(profile, matrix[start : start + events])
        found, memory = judge(profile, tally, hour * 3600.0, (hour + 1) * 3600.0, memory, season, minimum_events)
        yield found
