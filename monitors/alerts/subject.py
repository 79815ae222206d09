"""What alerts are about: one pipeline, in plain values. streams.alerting makes it of a Pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitors.errors import ObjectiveError
from monitors.metrics import LATENCY_BUCKETS
from monitors.objectives import Objectives

ON_CALL, DEBUG, EXECUTIVE = "tidegate-on-call", "tidegate-debug", "tidegate-executive"  # the dashboards' uids


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic that only fills features, by one of its feature groups, and how old the last merge may be, in seconds."""

    group: str
    limit_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A pipeline with its owner and team, its feeds, and what it promises."""

    pipeline: str
    owner: str
    team: str
    objectives: Objectives
    feeds: Sequence[Feed] = ()
    has_band: bool = False

    def __post_init__(self) -> None:
        if self.objectives.fast is not None and self.objectives.latency_seconds not in LATENCY_BUCKETS:
            raise ObjectiveError(
                f"objectives of {self.pipeline}: latency_seconds is {self.objectives.latency_seconds}; latency is counted in "
                f"buckets, so choose one of {', '.join(map(str, LATENCY_BUCKETS))}"
            )

    @property
    def this(self) -> str:
        """The label matcher of the pipeline's series."""
        return f'pipeline="{self.pipeline}"'

    @property
    def workers(self) -> str:
        """The matcher of the workers' consumer group."""
        return f'group="tidegate.{self.pipeline}"'

    @property
    def monitors(self) -> str:
        """The matcher of the monitors' consumer group."""
        return f'group="tidegate.{self.pipeline}.monitor"'
