"""All the drifts that a run was asked for: checked before anything starts, made ready once there is a history to look at."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.demo.injecting import Injected, prepare_drift
from streams.demo.injection import Injection, parse
from streams.demo.snapshot import PutIn
from streams.demo.source import sound_before
from streams.demo.story import OwnDrift, Story
from streams.demo.targets import Target, find_target, own_drift, sent_events


@dataclass(frozen=True, slots=True)
class Asked:
    """Those about fields and events, each with what it was found to mean, and those of the story's own, which it makes itself."""

    story: Story
    of_records: tuple[tuple[Injection, Target], ...]
    own: tuple[tuple[Injection, float], ...]  # with its share

    @classmethod
    def of(cls, texts: Sequence[str], story: Story) -> "Asked":
        """DriftRefused for the first that cannot be read or has no target."""
        of_records: list[tuple[Injection, Target]] = []
        own: list[tuple[Injection, float]] = []
        events = sent_events(story.pipeline())
        for injection in map(parse, texts):
            share = own_drift(injection, story)
            if share is None:
                of_records.append((injection, find_target(injection, story, events)))
            else:
                own.append((injection, share))
        return cls(story, tuple(of_records), tuple(own))

    def own_drifts(self, per_second: float) -> list[OwnDrift]:
        """For the story, by the number of its records that are sent before."""
        return [
            OwnDrift(injection.target, share, sound_before(math.ceil(injection.seconds * per_second)))
            for injection, share in self.own
        ]

    def ready(self, history: Path) -> tuple[list[Injected], tuple[PutIn, ...]]:
        """For the records, and for people, all of them by their seconds; DriftRefused where the history has no such category."""
        ready = [prepare_drift(injection, target, history) for injection, target in self.of_records]
        told = [PutIn(asked.text, one.what, one.seconds) for (asked, _), one in zip(self.of_records, ready, strict=True)]
        told += [
            PutIn(one.text, f"{share:.3g} {self.story.own_drifts[one.target]}", one.seconds) for one, share in self.own
        ]  # fmt: skip
        return ready, tuple(sorted(told, key=lambda one: one.seconds))
