"""What one example gives the demo: a pipeline and the model to beat, a history to train on, records to replay, and words for it.

Stories are in stories/, a file each. What is done with a story is the same for all of them: session.py.
"""

import importlib
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from scorer.pipeline import Pipeline
from streams.demo.errors import DemoError
from streams.demo.source import Source

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Words:
    """What the view calls things."""

    about: str  # what is scored: "the flights of 2013"
    sent: str  # what the topics hold: "departures, arrivals and weather"
    scored: str  # what one prediction is about, in the plural: "departures"
    baseline: str  # what the model to beat knows: "schedule alone"
    warm_up: str  # how much fills the windows: "a week"


class Span(NamedTuple):
    """Of a history, in event time: from when on windows are as full as they will be, and the moment at which knowledge ends."""

    settled: float
    end: float


class OwnDrift(NamedTuple):
    """A drift that only this story knows how to make: from the replayed record on that `after` others precede."""

    name: str
    share: float
    after: int


class Story(ABC):
    """One example. ``code`` (places under ROOT) and ``packages``: what its models depend on besides what all stories share.

    ``own_drifts``: names for `--drift NAME=SHARE@SECONDS` that are no fields, and the sentence that the share begins.
    """

    name: ClassVar[str]
    words: ClassVar[Words]
    pipeline_module: ClassVar[str]
    code: ClassVar[tuple[str, ...]]
    packages: ClassVar[tuple[str, ...]] = ()
    own_drifts: ClassVar[Mapping[str, str]] = {}

    @property
    def pipeline_file(self) -> Path:
        return ROOT / Path(*self.pipeline_module.split(".")).with_suffix(".py")

    def check(self) -> None:
        """Makes `examples` importable; DemoError where it is not there, as in a wheel, or lacks its data."""
        if not self.pipeline_file.is_file():
            raise DemoError(
                f"the demo replays examples/{self.name}, which the installed package does not hold; "
                "run `make demo` in a clone of the repository"
            )
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise DemoError(f"the demo needs the package {package}; run: pip install 'tidegate[embedded,examples]'")
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))

    def pipeline(self) -> Pipeline:
        self.check()
        found = importlib.import_module(self.pipeline_module).pipeline
        assert isinstance(found, Pipeline)
        return found

    @abstractmethod
    def baseline(self) -> Pipeline:
        """The same labelled events with features that need no window: what the scored event itself says."""

    @abstractmethod
    def write_history(self, folder: Path) -> Span:
        """One Parquet file a topic, the same bytes each time."""

    @abstractmethod
    def source(self, drifts: Sequence[OwnDrift] = ()) -> Source:
        """What is sent, from before the history's end on."""

    @abstractmethod
    def endless(self, after: float) -> Source:
        """Records later than event time `after` and not from before what `source` begins with, for ever, all of them sound.

        ``warm_up`` is what is left of it then; nothing once `after` is past the history's end.
        """
