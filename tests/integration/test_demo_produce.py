"""compose.yaml's traffic and first model on a real stack: `demo --produce` and `--write-history`, `train --unless-deployed`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition

from examples.flights.events import Arrival, Departure, Weather
from examples.flights.pipeline import pipeline
from featurestore.events import contract
from streams.cli.demo import demo
from streams.cli.train import train
from streams.demo.lag import LagReader
from streams.demo.monitor import begin_at_the_end
from streams.demo.newest import newest_event
from streams.demo.producing import SILENCE_SECONDS, silence
from streams.deployments import deploy_champion
from streams.embedded import Stack
from streams.embedded.ports import free_ports
from streams.monitor.app import monitor_group
from streams.outputs import TopicNames
from streams.topic_facts import TopicFacts
from streams.topics import ensure_topics, output_topic
from tests.integration.test_demo import eventually

pytestmark = pytest.mark.integration

EVENTS = [Departure, Arrival, Weather]
WORKER = ["worker", "examples/flights/pipeline.py"]
ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """`tidegate` commands on one stack, each with its own pages."""

    stack: Stack
    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> tuple[subprocess.Popen[str], int]:
        (port,) = free_ports(1)
        command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments, "--web-port", str(port)]
        environ = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "REDIS_URL": self.stack.redis_url or "",
            "HOME": str(self.folder),
        }
        with open(self.folder / f"{arguments[0]}-{port}.log", "w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environ, cwd=ROOT)
        self.processes.append(process)
        return process, port

    @property
    def kafka(self) -> str:
        assert self.stack.bootstrap_servers is not None
        return self.stack.bootstrap_servers

    def told(self) -> str:
        return "\n".join(f"{log.name}:\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Its own Kafka: topics of the flights belong to whoever replays them."""
    with Stack.start(environ={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "", "REDIS_URL": ""}) as stack:
        started = Running(stack, tmp_path)
        yield started
        for process in started.processes:
            process.kill()
            process.wait()


def page(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def sent(kafka: str) -> list[Departure]:
    """Every departure on its topic."""
    topic = contract(Departure).topic
    facts = TopicFacts(kafka)
    ends = facts.ends(facts.partitions([topic]))
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(tp.topic, tp.partition, 0) for tp in ends])
    found: list[Departure] = []
    while len(found) < sum(ends.values()):
        (message,) = consumer.consume(1, 10.0)
        found.append(msgspec.json.decode(message.value(), type=Departure))
    consumer.close()
    return found


@pytest.mark.timeout(240)
def test_events_come_for_ever_and_a_producer_goes_on_where_the_last_one_stopped(running: Running) -> None:
    """Windows first, which workers must have taken; behind that the monitor begins; nothing is sent twice."""
    _, worker_port = running.start(*WORKER)
    assert eventually(lambda: "partitions: ok" in page(worker_port)[1], 90), running.told()
    first, port = running.start("demo", "--produce", "--speed", "300")
    assert eventually(lambda: page(port)[0] == 200, 90), running.told()
    names, facts = TopicNames.of(pipeline.name), TopicFacts(running.kafka)
    outputs = facts.partitions([names.features, names.dead_letters])
    assert all(offset is not None for offset in facts.committed(monitor_group(pipeline.name), outputs).values())
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    before = sent(running.kafka)
    newest = newest_event(running.kafka, EVENTS)
    _, port = running.start("demo", "--produce", "--speed", "300")
    assert eventually(lambda: page(port)[0] == 200, 60), running.told()
    assert eventually(lambda: newest_event(running.kafka, EVENTS) > newest, 30), running.told()
    everything = sent(running.kafka)
    assert len({each.flight_id for each in everything}) == len(everything) > len(before) > 5_000
    known = {each.flight_id for each in before}
    assert min(each.scheduled_at for each in everything if each.flight_id not in known) >= newest


def test_a_producer_waits_for_the_workers_and_says_for_what(running: Running) -> None:
    ensure_topics(running.kafka, [output_topic(contract(event).topic, 4) for event in EVENTS])
    names = TopicNames.of(pipeline.name)
    ensure_topics(running.kafka, [output_topic(name, 4) for name in (names.features, names.dead_letters)])
    _, port = running.start("demo", "--produce", "--speed", "300")
    assert eventually(lambda: "events are left for workers to take" in page(port)[1], 60), running.told()
    assert page(port)[0] == 503
    consumed = LagReader(running.kafka, f"tidegate.{pipeline.name}", [contract(event).topic for event in EVENTS])
    consumed.skip()  # as workers would that took them
    consumed.close()
    assert eventually(lambda: page(port)[0] == 200, 30), running.told()


def test_a_kafka_that_takes_nothing_is_told() -> None:
    assert silence(1_000.0, 1_000.0 + SILENCE_SECONDS) is None
    assert silence(1_000.0, 1_000.0 + SILENCE_SECONDS + 1) == "no event taken for 31 s"


def test_a_monitor_at_work_is_not_moved(running: Running) -> None:
    """KafkaException, which the producer tells: commits of a group with members are its members' business."""
    from confluent_kafka import KafkaException

    names = TopicNames.of(pipeline.name)
    ensure_topics(running.kafka, [output_topic(name, 1) for name in (names.features, names.dead_letters)])
    member = Consumer(
        {"bootstrap.servers": running.kafka, "group.id": monitor_group(pipeline.name), "auto.offset.reset": "earliest"}
    )
    member.subscribe([names.features])
    assert eventually(lambda: member.poll(0.5) is None and bool(member.assignment()))
    with pytest.raises(KafkaException):
        begin_at_the_end(running.kafka, pipeline.name)
    member.close()
    begin_at_the_end(running.kafka, pipeline.name)


def test_history_is_written_and_no_second_model_trained(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`train --unless-deployed` looks at the deployments topic, before it reads a file."""
    history = tmp_path / "history"
    history.mkdir()
    written = CliRunner().invoke(demo, ["--write-history", str(history)])
    assert written.exit_code == 0, written.output
    assert {file.stem for file in history.glob("*.parquet")} == {contract(event).topic for event in EVENTS}
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", running.kafka)
    asked = [str(ROOT / "examples/flights/pipeline.py"), "--data", str(tmp_path), "--promote", "--unless-deployed"]
    nothing_there = CliRunner().invoke(train, asked)  # no champion: it goes on to the files, of which that folder has none
    assert "departures.parquet" in nothing_there.output
    deploy_champion(
        running.kafka, pipeline=pipeline.name, model="flight-delays", version=7, artifact_hash="0", registry="", who="w", why="y"
    )
    done = CliRunner().invoke(train, asked)
    assert (done.exit_code, done.output) == (0, "flight-delays version 7 is the champion: nothing to do\n")
