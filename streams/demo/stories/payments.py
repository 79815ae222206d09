"""Is this card payment fraud? A town's payments, generated: eleven hours train, the rest is replayed, outcomes at their time."""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from featurestore.definitions import seconds
from scorer.pipeline import Pipeline
from streams.demo.source import Sendable, Source
from streams.demo.story import OwnDrift, Span, Story, Words

if TYPE_CHECKING:
    from examples.payments.generate import Change, Stream

# 40,000 s of event time, of which the first hour fills windows: 180,000 rows, from which training takes 3 s.
HISTORY_EVENTS = 200_000
REPLAYED_EVENTS = 10_000_000  # half a day at 400 records a second
ENDLESS_EVENTS = 10**12  # 6,000 years; a stream's blocks are drawn as they are needed
# With 5 payments a second an hour's windows are full after 18,000 payments; at 400 records a second 40 s pass each second.
RATE = 5.0
SEED = 1


class Payments(Story):
    """`tidegate demo --example payments`."""

    name = "payments"
    words = Words("a town's card payments", "payments and outcomes", "payments", "payment alone", "an hour")
    pipeline_module = "examples.payments.hour"
    code = ("examples/payments", "streams/demo/stories/payments.py")
    own_drifts: ClassVar[Mapping[str, str]] = {
        "fraud": "of the sound payments become takeovers",
        "quiet-fraud": "of the sound payments are fraud, and only outcomes tell",
    }

    def baseline(self) -> Pipeline:
        """What a payment says by itself."""
        alone = importlib.import_module(self.pipeline_module).PAYMENT_ALONE
        name = "payment-fraud-alone"
        return replace(self.pipeline(), name=name, model=name, features=alone)

    def write_history(self, folder: Path) -> Span:
        self.check()
        from examples.payments.generate import write_parquet

        history = _stream(HISTORY_EVENTS)
        write_parquet(folder, history)
        return Span(history.start + _longest_window(), _end(history))

    def source(self, drifts: Sequence[OwnDrift] = ()) -> Source:
        self.check()
        from examples.payments.replay import replay_order

        plain = _stream(HISTORY_EVENTS + REPLAYED_EVENTS)
        changed = replace(plain, changes=[_change(plain, drift) for drift in drifts])
        end = _end(plain)
        return Source.cut((Sendable(*record) for record in replay_order(changed, end - _longest_window())), end)

    def endless(self, after: float) -> Source:
        self.check()
        from examples.payments.replay import replay_order

        stream = _stream(ENDLESS_EVENTS)
        end = _end(stream)
        since = max(math.nextafter(after, math.inf), end - _longest_window())
        return Source.cut((Sendable(*record) for record in replay_order(stream, since)), end)


def _stream(events: int) -> "Stream":
    from examples.payments.economy import TOWN
    from examples.payments.generate import Stream

    return Stream(events, RATE, SEED, economy=TOWN)


def _end(stream: "Stream") -> float:
    """When the history ends and the replay begins."""
    return stream.start + HISTORY_EVENTS / RATE


def _longest_window() -> float:
    from examples.payments.hour import WINDOWS

    return float(max(map(seconds, WINDOWS)))


def _change(stream: "Stream", drift: OwnDrift) -> "Change":
    from examples.payments import changes
    from examples.payments.replay import time_of

    since = time_of(stream, _end(stream), drift.after)
    if drift.name == "fraud":
        return changes.takeovers(drift.share, since, stream.economy)
    return changes.quiet_fraud(drift.share, since)
