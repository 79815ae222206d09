"""What the demo knows at one moment, and its summary: the figures that the view shows and `--json` writes."""

from dataclasses import dataclass

import msgspec

from streams.demo.lag import Lag
from streams.demo.scoreboard import Quality


class Summary(msgspec.Struct, frozen=True):
    """The result of a run, as `--json` writes it; null where there was nothing to say it of. docs/demo.md defines each."""

    events: int
    predictions: int
    distinct_predictions: int
    rejects: int
    events_per_second: float | None
    p50_ms: float | None
    p99_ms: float | None
    auc: float | None
    baseline_auc: float | None
    model_version: int | None
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One look at everything; times in seconds since the epoch, rates of the last seconds."""

    elapsed_seconds: float
    seconds_max: float | None
    event_time: float
    events: int
    events_per_second: float
    rates: tuple[float, ...]  # of the last minutes, oldest first
    predictions: int
    repeats: int
    rejects: int
    broken_sent: int
    p50_ms: float | None
    p99_ms: float | None
    lag: Lag
    model: str
    model_version: int | None
    quality: Quality
    workers: tuple[tuple[int, int, bool], ...]  # number, process id, alive
