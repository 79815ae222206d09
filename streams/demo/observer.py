"""One look at everything that runs: counts, rates, lag, quality and workers become a Snapshot, and at the end a Summary."""

import time
from collections import deque
from itertools import pairwise

from confluent_kafka import KafkaException

from streams.demo.lag import Lag, LagReader
from streams.demo.replay import Replay
from streams.demo.scoreboard import Quality, Scoreboard
from streams.demo.snapshot import Snapshot, Summary
from streams.demo.watch import Watcher
from streams.demo.workers import Workers

SAMPLE_SECONDS = 1.0
SAMPLES_SHOWN = 40
QUALITY_SECONDS = 2.0  # an AUC of 100,000 labels takes 30 ms


class Observer:
    """Asks the parts; what is dear is asked less often than the view wants to know."""

    def __init__(
        self, model: str, replay: Replay, watcher: Watcher, lag: LagReader, scoreboard: Scoreboard, workers: Workers
    ) -> None:
        self._model = model
        self._replay, self._watcher, self._lag_reader = replay, watcher, lag
        self._scoreboard, self._workers = scoreboard, workers
        self._lag, self._quality = Lag(), Quality()
        self._sampled = self._judged = 0.0
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES_SHOWN + 1)  # when, events sent

    def snapshot(self, seconds_max: float | None) -> Snapshot:
        self._refresh()
        replay, tally = self._replay, self._watcher.tally
        p50, p99 = self._watcher.recent_latency_ms(50, 99)
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
            model=self._model,
            model_version=tally.model_version,
            quality=self._quality,
            workers=tuple((worker.number, worker.process.pid, worker.process.running) for worker in self._workers.started),
        )

    def summary(self) -> Summary:
        """Of a replay that has ended and a watcher that has read all; to be called while the workers still run."""
        replay, tally = self._replay, self._watcher.tally
        seconds = max(replay.ended, tally.last_prediction) - replay.started
        quality = self._scoreboard.quality()
        p50, p99 = self._watcher.latency_ms(50, 99)
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
            workers=len(self._workers.alive),
        )

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._sampled >= SAMPLE_SECONDS:
            self._sampled = now
            self._samples.append((now, self._replay.sent))
            try:
                self._lag = self._lag_reader.read()
            except KafkaException:  # Kafka is busy: what was known is shown a second longer
                return
        if now - self._judged >= QUALITY_SECONDS:
            self._judged = now
            self._quality = self._scoreboard.quality()

    def _rates(self) -> tuple[float, ...]:
        return tuple((sent - before) / (at - since) for (since, before), (at, sent) in pairwise(self._samples) if at > since)
