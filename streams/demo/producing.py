"""`tidegate demo --produce`: a story's events into a Kafka that is there, for ever, at a steady pace; compose.yaml's traffic.

Workers, monitor and model are others' business. What fills the windows goes at full speed, as in the demo; the monitor's group
then begins behind it. Started again, it goes on behind the newest event that Kafka holds.
"""

import itertools
import time
from collections.abc import Callable

from confluent_kafka import KafkaException
from prometheus_client import CollectorRegistry

from featurestore.events import Event, contract
from featurestore.plan import compile_plan
from scorer.pipeline import Pipeline
from streams.chunk import TP
from streams.demo.errors import DemoError
from streams.demo.monitor import begin_at_the_end
from streams.demo.newest import newest_event
from streams.demo.replay import Replay
from streams.demo.signals import Ending
from streams.demo.source import Source
from streams.demo.story import Story
from streams.demo.targets import sent_events
from streams.topic_facts import TopicFacts, group_of
from streams.topics import ensure_topics, output_topic
from streams.web import Readiness, WebServer

PARTITIONS = 4  # as workers create them
LOOK_SECONDS = 0.5
SILENCE_SECONDS = 30.0  # without Kafka's word: at a record a second, the slowest pace, it comes 30 times meanwhile
WINDOWS, KAFKA = "windows", "kafka"

Say = Callable[[str], None]


def produce(story: Story, bootstrap_servers: str, speed: float, address: tuple[str, int], say: Say) -> None:
    """Until a signal. ``address``: host and port of its pages; /readyz answers 200 once windows are full and Kafka takes events.

    DemoError where Kafka no longer takes them.
    """
    ending, readiness = Ending(), Readiness()
    readiness.wait_for(WINDOWS, "not filled yet")
    readiness.wait_for(KAFKA, "nothing sent yet")
    web = WebServer(*address, CollectorRegistry(), readiness)
    try:
        _Producing(story, bootstrap_servers, ending, readiness, say).run(speed)
    except KeyboardInterrupt:
        say("Stopped before the first event.")
    except KafkaException as error:
        raise DemoError(f"Kafka did not answer ({error.args[0].str()}); run: tidegate doctor") from error
    finally:
        web.close()


class _Producing:
    """The steps, in the order of `run`."""

    def __init__(self, story: Story, bootstrap_servers: str, ending: Ending, readiness: Readiness, say: Say) -> None:
        self._story, self._servers, self._ending, self._readiness, self._say = story, bootstrap_servers, ending, readiness, say
        self._pipeline = story.pipeline()

    def run(self, speed: float) -> None:
        events = sent_events(self._pipeline)
        ensure_topics(self._servers, [output_topic(contract(event).topic, PARTITIONS) for event in events])
        source = self._source(events)
        due = itertools.takewhile(lambda record: record.time <= time.time(), source.records)  # no worker takes later ones
        replay = Replay(self._servers, due, speed, heard=lambda _: None)
        if source.warm_up:
            self._fill(replay, source)
        self._readiness.done(WINDOWS)
        self._ending.gently = True
        replay.start()
        self._watch(replay)

    def _source(self, events: list[type[Event]]) -> Source:
        return self._story.endless(newest_event(self._servers, events))

    def _fill(self, replay: Replay, source: Source) -> None:
        """Sends what fills the windows, waits until workers have it, and lets the monitor begin behind it."""
        self._say(f"Filling the windows with {self._story.words.warm_up}: {len(source.warm_up):,} events.")
        replay.warm_up(source.warm_up)
        facts = TopicFacts(self._servers)
        tps = facts.partitions(_consumed(self._pipeline))
        while behind := _behind(facts, group_of(self._pipeline.name), tps):
            self._readiness.wait_for(WINDOWS, f"{behind:,} events are left for workers to take")
            self._ending.asked.wait(LOOK_SECONDS)
        try:
            begin_at_the_end(self._servers, self._pipeline.name)
        except KafkaException as error:
            self._say(f"The monitor judges the filling, too: it is at work already ({error.args[0].str()}).")

    def _watch(self, replay: Replay) -> None:
        """Until a signal; then what was sent is flushed."""
        self._say(f"Sending {self._story.words.sent}.")
        while not self._ending.asked.wait(LOOK_SECONDS) and replay.failure is None:
            self._readiness.tell(KAFKA)(silence(replay.acknowledged, time.time()))
            if not replay.running and replay.failure is None:
                self._say("The story has caught up with the present; to begin it anew, empty Kafka and Redis.")
                self._ending.asked.wait()
        replay.stop()
        if replay.failure is not None:
            raise DemoError(replay.failure)
        self._say(f"Stopped after {replay.sent:,} events.")


def silence(acknowledged: float, now: float) -> str | None:
    """What is wrong where Kafka took its last event, at `acknowledged`, too long ago; times in seconds since the epoch."""
    return f"no event taken for {now - acknowledged:.0f} s" if now - acknowledged > SILENCE_SECONDS else None


def _behind(facts: TopicFacts, group: str, tps: list[TP]) -> int:
    """How many records the group has not committed yet."""
    committed, firsts, ends = facts.committed(group, tps), facts.firsts(tps), facts.ends(tps)
    return sum(ends[tp] - max(committed[tp] or 0, firsts[tp]) for tp in tps)


def _consumed(pipeline: Pipeline) -> list[str]:
    """What workers read: a label's topic that feeds no feature is not among it."""
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    return [contract(event).topic for event in plan.events]
