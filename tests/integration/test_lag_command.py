"""`tidegate lag` as users run it: a table and an exit code, JSON lines, and a process with /metrics."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from monitors.lag_metrics import PARTITION_GAUGES
from streams.cli import main
from tests.integration.lag_world import LagWorld

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
COMMAND = [sys.executable, "-c", "from streams.cli import main; main()", "lag", "--web-port", "0", "--interval", "1s"]


@pytest.fixture
def world(kafka: str, make_topic: Callable[..., str], unique: Callable[[str], str]) -> Iterator[LagWorld]:
    made = LagWorld(kafka, make_topic, unique("lag"))
    yield made
    made.close()


def once(world: LagWorld, *arguments: str) -> Result:
    pattern = ("--group", f"{world.word}-*", "--interval", "1s")
    return CliRunner().invoke(main, ["lag", "--once", *pattern, *arguments], env={"KAFKA_BOOTSTRAP_SERVERS": world.kafka})


def test_once_prints_what_is_fine_and_ends_with_0(world: LagWorld) -> None:
    topic = world.topic()
    world.send(topic, 5)
    world.commit("reader", {(topic, 0): 5})
    found = once(world)
    assert found.exit_code == 0, found.output
    cells = next(line.split() for line in found.output.splitlines() if world.name("reader") in line)
    assert cells[:9] == [world.name("reader"), topic, "0", "5", "5", "0", "0", "s", "ok"]
    assert "One look" in found.output


def test_once_looks_twice_where_one_look_cannot_tell_and_ends_with_1_for_who_stands(world: LagWorld) -> None:
    """The producer's time makes the record old enough to judge in a second; young ones stay unknown."""
    topic = world.topic(producer_time=True, partitions=2)
    world.send_of_times(topic, [time.time() - 600] * 5)
    world.send(topic, 5, partitions=[1])
    world.commit("reader", {(topic, 0): 2, (topic, 1): 2})
    found = once(world)
    assert found.exit_code == 1, found.output
    lines = [line for line in found.output.splitlines() if world.name("reader") in line]
    assert "stopped" in lines[0]
    assert "10.0 m*" in lines[0]
    assert "unknown" in lines[1]
    assert "Two looks, 1s apart" in found.output


def test_lost_records_end_with_1(world: LagWorld) -> None:
    from confluent_kafka import TopicPartition

    topic = world.topic()
    world.send(topic, 5)
    world.commit("reader", {(topic, 0): 2})
    world.admin.delete_records([TopicPartition(topic, 0, 5)])[TopicPartition(topic, 0, 5)].result(30)
    found = once(world)
    assert (found.exit_code, "(3 lost)" in found.output) == (1, True), found.output


def test_json_has_a_line_a_partition(world: LagWorld) -> None:
    topic = world.topic(partitions=2)
    world.send(topic, 5)
    world.commit("reader", {(topic, 0): 5})
    lines = [json.loads(line) for line in once(world, "--json").output.splitlines()]
    assert [(line["partition"], line["status"], line["lag_seconds"]) for line in lines] == [(0, "ok", 0.0), (1, "unknown", None)]


def test_once_without_a_kafka_is_one_sentence() -> None:
    found = CliRunner().invoke(main, ["lag", "--once"], env={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert (found.exit_code, "correct KAFKA_BOOTSTRAP_SERVERS" in found.output, "Traceback" in found.output) == (1, True, False)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def series(url: str, group: str) -> dict[str, float]:
    """Values of one group by metric name; none may be NaN."""
    families = text_string_to_metric_families(get(f"{url}/metrics")[1])
    samples = [sample for family in families for sample in family.samples]
    assert not any(math.isnan(sample.value) for sample in samples)
    return {sample.name: sample.value for sample in samples if sample.labels.get("group") == group}


def test_the_process_serves_what_it_sees_until_sigterm(world: LagWorld) -> None:
    topic = world.topic()
    world.send(topic, 5)
    world.commit("reader", {(topic, 0): 2})
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": world.kafka}
    command = [*COMMAND, "--group", f"{world.word}-*"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = re.findall(r"(http://\S+)/metrics", process.stderr.readline())[0]
        world.until(lambda: get(f"{url}/readyz") == (200, "kafka: ok\n"))
        assert get(f"{url}/healthz") == (200, "ok\n")
        seen = series(url, world.name("reader"))
        always = {name for name, _, _ in PARTITION_GAUGES} - {
            "tidegate_consumer_velocity_records_per_second",  # from the second look on
            "tidegate_consumer_time_to_drain_seconds",
        }
        assert always <= seen.keys()
        assert (seen["tidegate_consumer_lag_records"], seen["tidegate_consumer_lag_status"]) == (3, -1)
        assert 0 < seen["tidegate_consumer_lag_seconds"] < 30
        world.delete_groups("reader")
        world.until(lambda: series(url, world.name("reader")) == {})
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
