"""One demo from start to end: stack and models side by side, workers and monitor, warm-up, the replay, the summary.

The file to read first. What each part does is said in its own file; how it looks, in view.py.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from featurestore.events import contract
from featurestore.plan import compile_plan
from scorer.pipeline import Pipeline
from streams.cli.progress import steps
from streams.demo.asked import Asked
from streams.demo.baseline import Baseline
from streams.demo.errors import DemoError, NoWorkersLeft
from streams.demo.injecting import injected
from streams.demo.lag import LagReader
from streams.demo.monitor import DemoMonitor
from streams.demo.observer import Observer, Parts
from streams.demo.preparing import preparing
from streams.demo.replay import Replay
from streams.demo.scoreboard import Scoreboard, hearing
from streams.demo.signals import Ending
from streams.demo.source import Source, with_broken
from streams.demo.state import DemoState, Prepared
from streams.demo.stories import find_story
from streams.demo.view import live_view, summary_table
from streams.demo.watch import Watcher
from streams.demo.workers import Workers
from streams.deployments import deploy_champion
from streams.embedded import Stack
from streams.embedded.stack import KAFKA_VARIABLE, REDIS_VARIABLE
from streams.outputs import TopicNames
from streams.settings import Settings

LOOK_SECONDS = 0.25
WARM_UP_SECONDS = 120.0
DRAIN_SECONDS = 30.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What `tidegate demo` was told; ``seconds`` None runs until Ctrl-C or the end of the story, one of stories.STORIES."""

    example: str
    drifts: tuple[str, ...]
    seconds: float | None
    json_file: Path | None
    speed: float
    workers: int


def run_demo(options: DemoOptions, console: Console, environ: Mapping[str, str], began: float) -> None:
    """Returns when it ended in order: by time, by the end of the data, or by a signal. DemoError and others where it could not.

    ``began`` is when the command did, seconds since the epoch.
    """
    ending = Ending()
    try:
        with ExitStack() as parts:
            _Demo(options, console, environ, ending, parts).run(began)
    except KeyboardInterrupt:
        console.print("Stopped before the replay began.")


class _Demo:
    """The steps, in the order of `run`; whatever a step starts is closed by `parts`, last first."""

    def __init__(
        self, options: DemoOptions, console: Console, environ: Mapping[str, str], ending: Ending, parts: ExitStack
    ) -> None:
        self._options, self._console, self._ending, self._parts = options, console, ending, parts
        # A stack of its own, always: a demo's events have no business in a cluster that somebody uses.
        self._environ = {name: value for name, value in environ.items() if name not in (KAFKA_VARIABLE, REDIS_VARIABLE)}
        self._story = find_story(options.example)
        self._pipeline = self._story.pipeline()
        self._asked = Asked.of(options.drifts, self._story)
        self._state = DemoState.of(self._story, environ)
        self._monitor: DemoMonitor | None = None

    def run(self, began: float) -> None:
        with steps(self._console) as progress:
            source, settings = self._start(progress)
            self._watch(settings, source)
            self._warm_up(source, progress)
            self._start_monitor(settings, progress)
        self._ending.gently = True  # from here on a signal is seen by the replay's loop
        first = self._watcher.tally.first_prediction or time.time()
        self._console.print(f"First prediction after {first - began:.0f} s.", highlight=False)
        self._replay_and_show()
        self._finish()

    def _start(self, progress: Progress) -> tuple[Source, Settings]:
        """Stack, models, workers and the records to send, as much of it at once as can be."""
        pool = self._parts.enter_context(ThreadPoolExecutor(1))
        source = pool.submit(self._story.source, self._asked.own_drifts(self._options.speed))
        with preparing(self._story, self._state, progress) as prepared:
            stack = self._start_stack(progress)
            settings = self._state.settings(stack.bootstrap_servers, stack.redis_url)
            deploy(self._pipeline, prepared(), settings)
        self._drifts, self._put_in = self._asked.ready(self._state.history)
        self._workers = Workers.start(self._options.workers, self._story.pipeline_file, settings)
        self._parts.callback(self._workers.close)
        self._scoreboard = Scoreboard(self._pipeline, Baseline(self._story.baseline(), self._state).score)
        self._workers.wait_until_ready(progress)
        return source.result(), settings

    def _start_stack(self, progress: Progress) -> Stack:
        def fetched(done_bytes: int, of_bytes: int) -> None:
            progress(f"fetching Apache Kafka, {of_bytes / 1e6:.0f} MB, once", done_bytes, of_bytes)

        progress("starting Kafka and Valkey", 0, 1)
        stack = self._parts.enter_context(Stack.start(progress=fetched, environ=self._environ))
        progress("starting Kafka and Valkey", 1, 1)
        return stack

    def _watch(self, settings: Settings, source: Source) -> None:
        pipeline, kafka = self._pipeline, settings.kafka
        plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
        consumed = [contract(event).topic for event in plan.events]  # a label's topic that feeds no feature is not among them
        self._lag = LagReader(kafka, f"tidegate.{pipeline.name}", consumed)
        self._parts.callback(self._lag.close)
        self._watcher = Watcher(kafka, TopicNames.of(pipeline.name), self._scoreboard.predicted)
        self._parts.callback(self._watcher.stop)
        self._watcher.start()
        speed = self._options.speed
        records = injected(with_broken(source.records, consumed), self._drifts, speed)
        self._replay = Replay(kafka, records, speed, hearing(pipeline, self._scoreboard))

    def _warm_up(self, source: Source, progress: Progress) -> None:
        """Fills the windows; nothing of it counts: neither its events nor its predictions, its latency or its labels."""
        self._replay.warm_up(source.warm_up)
        title, of = f"filling the windows with {self._story.words.warm_up}", len(source.warm_up)
        deadline = time.monotonic() + WARM_UP_SECONDS
        while behind := self._lag.read().total:
            progress(title, max(0, of - behind), of)
            self._check()
            if time.monotonic() > deadline:
                raise DemoError(f"The workers did not take {of:,} events within {WARM_UP_SECONDS:.0f} s; run: tidegate doctor")
            time.sleep(LOOK_SECONDS)
        progress(title, 1, 1)
        self._watcher.count_from(self._lag.ends())

    def _start_monitor(self, settings: Settings, progress: Progress) -> None:
        """Last, when there is nothing to judge yet; from then on everything can be asked."""
        self._monitor = DemoMonitor.start(self._pipeline.name, self._story.pipeline_file, settings)
        self._parts.callback(self._monitor.close)
        self._monitor.wait_until_ready(progress)
        self._observer = Observer(
            Parts(
                example=self._story.name,
                model=self._pipeline.model,
                replay=self._replay,
                watcher=self._watcher,
                lag=self._lag,
                scoreboard=self._scoreboard,
                workers=self._workers,
                monitor=self._monitor,
                put_in=self._put_in,
            )
        )

    def _replay_and_show(self) -> None:
        self._replay.start()
        deadline = None if self._options.seconds is None else time.monotonic() + self._options.seconds
        with live_view(self._console, self._story.words) as show:
            while self._replay.running and not (deadline and time.monotonic() >= deadline):
                self._check()
                show(self._observer.snapshot(self._options.seconds))
                left = LOOK_SECONDS if deadline is None else min(LOOK_SECONDS, max(0.0, deadline - time.monotonic()))
                if self._ending.asked.wait(left):
                    break
        self._replay.stop()

    def _finish(self) -> None:
        """Waits for what is under way, so that the figures belong together; then the summary."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while (behind := self._lag.read().total) and time.monotonic() < deadline:
            self._check()
            time.sleep(LOOK_SECONDS)
        if behind:
            self._console.print(f"{behind:,} events were not handled within {DRAIN_SECONDS:.0f} s of the end.", style="yellow")
        self._watcher.stop()
        summary = self._observer.summary()
        self._console.print(summary_table(summary, self._story.words))
        if self._options.json_file is not None:
            summary.write(self._options.json_file)

    def _check(self) -> None:
        """Tells of processes that ended by themselves: workers take over from each other, and serve without a monitor too."""
        monitor = self._monitor
        for fallen in [*self._workers.fallen(), *([monitor.process] if monitor and monitor.process.fallen else [])]:
            self._console.print(fallen.last_words(), style="red", highlight=False, markup=False, soft_wrap=True)
        if not self._workers.alive:
            raise NoWorkersLeft("No worker is left; what they did not commit would be read again by the next.")
        for failure in (self._replay.failure, self._watcher.failure, monitor and monitor.reader.failure):
            if failure:
                raise DemoError(f"The demo cannot go on: {failure}")


def deploy(pipeline: Pipeline, prepared: Prepared, settings: Settings) -> None:
    """Makes the version the champion on this run's Kafka; the registry's alias has said so since it was registered."""
    deploy_champion(
        settings.kafka,
        pipeline=pipeline.name,
        model=prepared.model,
        version=prepared.version,
        artifact_hash=prepared.hash,
        registry=settings.registry_uri,
        who="tidegate demo",
        why="the demo's model",
    )
