"""One look at everything that runs: counts, rates, lag, quality and workers become a Snapshot, and at the end a Summary."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from confluent_kafka import KafkaException

from streams.demo.findings import Findings
from streams.demo.lag import Lag, LagReader
from streams.demo.monitor import DemoMonitor
from streams.demo.replay import Replay
from streams.demo.scoreboard import Quality, Scoreboard
from streams.demo.snapshot import Alarm, Drift, PutIn, Snapshot, Summary
from streams.demo.watch import Watcher
from streams.demo.workers import Workers

SAMPLE_SECONDS = 1.0
SAMPLES_SHOWN = 40
QUALITY_SECONDS = 2.0  # an AUC of 100,000 labels takes 30 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that runs and can be asked; ``put_in`` what drifts were asked for."""

    example: str
    model: str
    replay: Replay
    watcher: Watcher
    lag: LagReader
    scoreboard: Scoreboard
    workers: Workers
    monitor: DemoMonitor
    put_in: tuple[PutIn, ...]


class Observer:
    """Asks the parts; what is dear is asked less often than the view wants to know."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lag, self._quality = Lag(), Quality()
        self._sampled = self._judged = 0.0
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES_SHOWN + 1)  # when, events sent

    def snapshot(self, seconds_max: float | None) -> Snapshot:
        self._refresh()
        parts, replay, tally = self._parts, self._parts.replay, self._parts.watcher.tally
        p50, p99 = parts.watcher.recent_latency_ms(50, 99)
        rates = self._rates()
        return Snapshot(
            elapsed_seconds=time.time() - replay.started if replay.started else 0.0,
            seconds_max=seconds_max,
            event_time=replay.event_time,
            events=replay.sent,
            events_per_second=rates[-1] if rates else 0.0,
            rates=rates,
            predictions=tally.predictions,
            repeats=tally.predictions - tally.distinct_predictions,
            rejects=tally.rejects,
            broken_sent=replay.broken_sent,
            p50_ms=p50,
            p99_ms=p99,
            lag=self._lag,
            model=parts.model,
            model_version=tally.model_version,
            quality=self._quality,
            workers=tuple((number, one.process.pid, one.process.running) for number, one in enumerate(parts.workers.started, 1)),
            drift=self._drift(),
        )

    def summary(self) -> Summary:
        """Of a replay that has ended and a watcher that has read all; to be called while the workers still run."""
        parts, replay, tally = self._parts, self._parts.replay, self._parts.watcher.tally
        found = parts.monitor.found
        seconds = max(replay.ended, tally.last_prediction) - replay.started
        quality = parts.scoreboard.quality()
        p50, p99 = parts.watcher.latency_ms(50, 99)
        return Summary(
            events=replay.sent,
            predictions=tally.predictions,
            distinct_predictions=tally.distinct_predictions,
            rejects=tally.rejects,
            events_per_second=round(replay.sent / seconds, 1) if replay.sent and seconds > 0 else None,
            p50_ms=p50 and round(p50, 1),
            p99_ms=p99 and round(p99, 1),
            auc=quality.auc and round(quality.auc, 4),
            baseline_auc=quality.baseline_auc and round(quality.baseline_auc, 4),
            model_version=tally.model_version,
            workers=len(parts.workers.alive),
            example=parts.example,
            put_in=list(parts.put_in),
            windows=found.windows,
            alarms=alarms(found, parts.put_in, replay.started),
            quality_score=found.last.quality_score if found.last else None,
            feeds_not_fresh=[feed.group for feed in found.stale_feeds],
        )

    def _drift(self) -> Drift:
        found = self._parts.monitor.found
        return Drift(
            put_in=self._parts.put_in,
            found=found,
            seconds_ago=max(0.0, time.time() - found.published) if found.windows else 0.0,
            monitor_alive=self._parts.monitor.alive,
        )

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._sampled >= SAMPLE_SECONDS:
            self._sampled = now
            self._samples.append((now, self._parts.replay.sent))
            try:
                self._lag = self._parts.lag.read()
            except KafkaException:  # Kafka is busy: what was known is shown a second longer
                return
        if now - self._judged >= QUALITY_SECONDS:
            self._judged = now
            self._quality = self._parts.scoreboard.quality()

    def _rates(self) -> tuple[float, ...]:
        return tuple((sent - before) / (at - since) for (since, before), (at, sent) in pairwise(self._samples) if at > since)


def alarms(found: Findings, put_in: Sequence[PutIn], started: float) -> list[Alarm]:
    """Each feature's first, in the order in which they came; ``started``: when the replay did, seconds since the epoch."""
    listed = []
    for feature, at in sorted(found.first_drift.items(), key=lambda item: item[1]):
        seconds = at - started
        since = max((one.seconds for one in put_in if one.seconds <= seconds), default=None)
        listed.append(Alarm(feature, round(seconds, 1), None if since is None else round(seconds - since, 1)))
    return listed
