"""What the demo knows at one moment, and its summary: the figures that the view shows and `--json` writes."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams.demo.findings import Findings
from streams.demo.lag import Lag
from streams.demo.scoreboard import Quality


class PutIn(msgspec.Struct, frozen=True):
    """One drift that was asked for: as `--drift` had it, what it does in words, and from which second of the replay on."""

    drift: str
    what: str
    seconds: float


class Alarm(msgspec.Struct, frozen=True):
    """When the monitor first said that a feature drifts: in seconds of the replay, and after the latest drift put in by then."""

    feature: str
    seconds: float
    after_drift_seconds: float | None


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
    example: str
    put_in: list[PutIn]
    windows: int
    alarms: list[Alarm]
    quality_score: float | None
    feeds_not_fresh: list[str]

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What was put in, what the monitor found, how many seconds ago it said so, and whether it still runs."""

    put_in: tuple[PutIn, ...]
    found: Findings
    seconds_ago: float
    monitor_alive: bool


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
    drift: Drift
