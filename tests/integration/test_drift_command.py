"""`tidegate drift` on a real topic: the latest whole window however much lies before it, and the page as a file."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.cli import main
from streams.monitor import reading
from streams.monitor.records import DriftRecord, SkewReport, drift_topic, encode_drift
from tests.integration.shop import TEXT, TILES
from tests.streams.drift_world import HOUR, log

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

RECORDS = 34  # of a window: 33 features and the summary


@dataclass
class Watched:
    """A pipeline of its own name whose monitor is this test."""

    kafka: str
    name: str
    file: Path
    blocks: list[tuple[int, int]] = field(default_factory=list)

    def create(self) -> None:
        topic = NewTopic(drift_topic(self.name), 1, 1, config={"retention.ms": "-1"})
        admin = AdminClient({"bootstrap.servers": self.kafka})
        admin.create_topics([topic])[topic.topic].result(30)

    def publish(self, values: Iterable[bytes | None]) -> None:
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 20})
        for value in values:
            producer.produce(drift_topic(self.name), value)
            producer.poll(0)
        assert producer.flush(60) == 0

    def call(self, *arguments: str) -> Result:
        first = [arguments[0]] if arguments[:1] == ("report",) else []
        rest = arguments[len(first) :]
        environment = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "REDIS_URL": "redis://127.0.0.1:1/0"}
        return CliRunner().invoke(main, ["drift", *first, str(self.file), *rest], env=environment)


def window(number: int, records: int = RECORDS) -> Iterator[bytes]:
    """The first records of the window of this number, as the monitor would write them; they say what one of the world's does."""
    like = log().windows[number % len(log().windows)]
    end = 1_777_852_800 + (number + 1) * HOUR
    of_all: list[DriftRecord] = [*like.features, like.summary]
    for record in of_all[:records]:
        name = f"{number:06}"
        changed = msgspec.structs.replace(
            record,
            window=name,  # type: ignore[call-arg]
            drift_id=f"{record.drift_id.rsplit('/', 1)[0]}/{name}",
            window_start=end - HOUR,
            window_end=end,
        )
        yield encode_drift(changed)


def windows(first: int, last: int) -> Iterator[bytes]:
    for number in range(first, last):
        yield from window(number)


def skew() -> bytes:
    assert isinstance(log().skew, SkewReport)
    return encode_drift(log().skew)  # type: ignore[arg-type]


@pytest.fixture
def watched(kafka: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    name = unique("watched")
    file = tmp_path / "pipeline_file.py"
    file.write_text(TEXT.replace("NAME", name).replace("TILES", str(TILES)))
    made = Watched(kafka, name, file)
    read = reading.read_partition

    def counted(servers: str, tp: object, start: int, end: int, size: int) -> object:
        made.blocks.append((start, end))
        return read(servers, tp, start, end, size)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "read_partition", counted)
    return made


def test_without_a_topic_or_a_window_the_command_that_helps_is_named(watched: Watched) -> None:
    found = watched.call()
    assert (found.exit_code, found.output) == (
        1,
        f"Error: there is no topic {watched.name}.drift yet: the monitor writes it; run: tidegate monitor PIPELINE\n",
    )
    watched.create()
    for _ in range(2):
        found = watched.call()
        assert found.exit_code == 1
        assert "has no whole window yet" in found.output
        assert "tidegate monitor PIPELINE" in found.output
        watched.publish(window(0, records=5))  # and not more


def test_the_latest_window_is_read_from_the_end_alone(watched: Watched) -> None:
    """Of 13,600 records a thousand; what a crash left unfinished at the end is not shown, nor what was written twice."""
    watched.create()
    watched.publish([*windows(0, 399), *window(399), *window(399), b"no record", None, b"{}", skew(), *window(400, records=9)])
    end = 401 * RECORDS + 4 + 9
    found = watched.call()
    assert found.exit_code == 0, found.output
    assert "window 000399" in found.output
    assert sum(line.startswith("amount ") for line in found.output.splitlines()) == 2  # the table's line and its reason
    assert "skew differs from what is computed offline" in found.output
    assert watched.blocks == [(end - 1_000, end)]

    watched.blocks.clear()
    history = watched.call("--last", "100")
    assert "100 windows, oldest to newest" in history.output
    assert "windows 000300 to 000399" in history.output
    assert watched.blocks == [(end - 1_000, end), (end - 5_000, end - 1_000)]

    by_time = watched.call("--last", "2d")
    assert "49 windows, oldest to newest" in by_time.output
    assert "windows 000351 to 000399" in by_time.output

    named = watched.call("--window", "000002")
    assert "window 000002" in named.output
    assert watched.blocks[-1][0] == 0
    missing = watched.call("--window", "000400")  # which is not whole yet
    assert (missing.exit_code, "has no window 000400; it holds those from 000000 to 000399" in missing.output) == (1, True)


def test_json_is_the_records_as_they_are_once_each(watched: Watched) -> None:
    watched.create()
    written = [*window(38), *window(39, records=20), *window(39)]
    watched.publish([*written, skew()])
    found = watched.call("--json")
    assert found.output.encode().splitlines() == [*window(39), skew()]
    (one,) = watched.call("--json", "--feature", "amount").output.splitlines()
    assert json.loads(one)["drift_id"].endswith("amount/000039")
    assert len(watched.call("--json", "--last", "2").output.splitlines()) == 2 * RECORDS + 1


def test_options_and_exit_codes(watched: Watched) -> None:
    watched.create()
    watched.publish(windows(0, 10))
    assert watched.call("--check").exit_code == 0
    watched.publish(windows(10, 40))
    assert watched.call().exit_code == 0
    checked = watched.call("--check")
    assert (checked.exit_code, "amount" in checked.output) == (3, True)
    assert watched.call("--check", "--window", "000003").exit_code == 0
    detail = watched.call("--feature", "amount")
    assert "last 24 windows" in detail.output
    wrong = watched.call("--feature", "amuont")
    assert (wrong.exit_code, "has no feature amuont; did you mean amount" in wrong.output) == (1, True)
    for usage in (("--last", "soon"), ("--last", "0"), ("--last", "3", "--window", "000001")):
        assert watched.call(*usage).exit_code == 2


def test_the_report_is_written_as_one_file(watched: Watched, tmp_path: Path) -> None:
    watched.create()
    watched.publish(windows(30, 40))
    file = tmp_path / "drift.html"
    done = watched.call("report", str(file), "--last", "3")
    assert done.exit_code == 0, done.output
    assert f"{file}: 3 windows of " in done.output
    text = file.read_text(encoding="utf-8")
    assert "4 of 30 features drift" in text
    assert "000039" in text
    folder = watched.call("report", str(tmp_path / "nowhere" / "drift.html"))
    assert (folder.exit_code, "Traceback" in folder.output) == (1, False)
    assert "nowhere" in folder.output
