"""The embedded stack for real: Kafka and Valkey start, survive restarts with their data, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.embedded import EmbeddedKafka, EmbeddedRedis, NoAnswer, ServerFailed, Stack
from streams.embedded.stack import KAFKA_VARIABLE, REDIS_VARIABLE

pytestmark = pytest.mark.integration


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def produce(bootstrap_servers: str, topic: str, value: bytes) -> None:
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap_servers, "acks": "all", "log_level": 0})
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(30) == 0
    assert failures == []


def consume(bootstrap_servers: str, topic: str, count: int) -> list[bytes]:
    settings = {"bootstrap.servers": bootstrap_servers, "group.id": f"read-{topic}", "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "log_level": 0})
    consumer.subscribe([topic])
    values: list[bytes] = []
    assert eventually(lambda: _poll(consumer, values) >= count)
    consumer.close()
    return values


def _poll(consumer: Consumer, values: list[bytes]) -> int:
    message = consumer.poll(0.2)
    if message is not None and message.error() is None:
        values.append(message.value())
    return len(values)


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[EmbeddedKafka]:
    """A broker of this module's: the session's must not be killed."""
    with EmbeddedKafka() as server:
        yield server


def test_the_sessions_broker_takes_and_gives_records(kafka: str, make_topic: Callable[..., str]) -> None:
    topic = make_topic("greetings")
    produce(kafka, topic, b"hello")
    assert consume(kafka, topic, 1) == [b"hello"]


def test_the_sessions_redis_evicts_nothing(redis_client: redis.Redis) -> None:
    assert redis_client.info("memory")["maxmemory_policy"] == "noeviction"


def test_a_mistyped_topic_is_not_created(kafka: str, topic_name: str) -> None:
    client = AdminClient({"bootstrap.servers": kafka})
    client.list_topics(topic_name, timeout=10)  # asking for it by name is what would create it
    assert topic_name not in client.list_topics(timeout=10).topics


def test_a_killed_broker_comes_back_on_its_port_with_its_records(own_kafka: EmbeddedKafka) -> None:
    address = own_kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic("ledger", num_partitions=1, replication_factor=1)])["ledger"].result(timeout=30)
    produce(address, "ledger", b"before")
    first = own_kafka.pid
    own_kafka.kill()
    assert not own_kafka.running
    own_kafka.start()
    assert (own_kafka.bootstrap_servers, own_kafka.pid != first) == (address, True)
    produce(address, "ledger", b"after")
    assert consume(address, "ledger", 2) == [b"before", b"after"]


def test_a_paused_broker_holds_records_until_it_goes_on(own_kafka: EmbeddedKafka) -> None:
    own_kafka.pause()
    assert eventually(lambda: _state(own_kafka.pid) == "T")
    own_kafka.resume()
    assert eventually(lambda: bool(AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers}).list_topics(timeout=5)))


def test_a_given_data_directory_keeps_topics_though_the_ports_are_new(tmp_path: Path) -> None:
    with EmbeddedKafka(data_dir=tmp_path) as server:
        admin = AdminClient({"bootstrap.servers": server.bootstrap_servers, "log_level": 0})
        admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])["kept"].result(timeout=30)
    with EmbeddedKafka(data_dir=tmp_path) as server:
        admin = AdminClient({"bootstrap.servers": server.bootstrap_servers, "log_level": 0})
        assert "kept" in admin.list_topics(timeout=10).topics


def test_a_broker_that_cannot_start_shows_its_log_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = EmbeddedKafka(settings={"num.io.threads": "zero"})
    with pytest.raises(ServerFailed, match=r"(?s)tidegate doctor.*num\.io\.threads"):
        server.start()
    server.close()
    assert list(tmp_path.iterdir()) == []


def test_redis_restarts_with_its_data_and_without() -> None:
    with EmbeddedRedis(appendonly=True) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        server.kill()
        server.start()
        assert client.get("kept") == b"yes"
        server.restart(wipe=True)
        assert client.get("kept") is None


def test_valkey_has_huge_pages_for_its_heap() -> None:
    with EmbeddedRedis(environ={}) as server, redis.Redis.from_url(server.url) as client:
        if "valkey_version" not in client.info("server"):
            pytest.skip("the server is a Redis")
        assert client.config_get("disable-thp") == {"disable-thp": "no"}
        environ = Path(f"/proc/{server.pid}/environ")
        assert not environ.exists() or b"glibc.malloc.hugetlb=1" in environ.read_bytes()


def test_a_given_data_directory_keeps_features_for_the_next_start(tmp_path: Path) -> None:
    with EmbeddedRedis(appendonly=True, data_dir=tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    with EmbeddedRedis(appendonly=True, data_dir=tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_addresses_of_the_environment_are_used_and_nothing_is_started(kafka: str, redis_url: str) -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "REDIS_URL": redis_url}
    with Stack.start(environ=environ) as stack:
        assert (stack.bootstrap_servers, stack.redis_url) == (kafka, redis_url)
        assert stack.servers == []


@pytest.mark.parametrize("environ", [{"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, {"REDIS_URL": "redis://127.0.0.1:1/0"}])
def test_an_address_that_does_not_answer_is_an_error_that_names_it(environ: dict[str, str]) -> None:
    kafka_alone = "REDIS_URL" not in environ
    with pytest.raises(NoAnswer, match=r"127\.0\.0\.1:1.* unset it"):
        Stack.start(kafka=kafka_alone, redis=not kafka_alone, environ=environ)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_up_leaves_no_process_and_no_data_behind(number: signal.Signals, tmp_path: Path) -> None:
    """`tidegate up` prints addresses that work, and is gone with all its servers after any signal."""
    environ = {name: value for name, value in os.environ.items() if name not in (KAFKA_VARIABLE, REDIS_VARIABLE)}
    process = subprocess.Popen(
        [sys.executable, "-c", "from streams.cli.up import up; up()"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environ, "TMPDIR": str(tmp_path)},
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        shown = "".join(process.stderr) if not all(lines) else ""
        assert lines[0].startswith("export KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:"), shown
        assert lines[1].startswith("export REDIS_URL=redis://127.0.0.1:")
        assert len(_processes_with(str(tmp_path))) == 4  # two servers and their guardians
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    assert eventually(lambda: _processes_with(str(tmp_path)) == [])
    assert eventually(lambda: list(tmp_path.iterdir()) == [])


def _processes_with(word: str) -> list[int]:
    """Processes whose command line or working directory holds the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and word in _command_line(entry):
            found.append(int(entry.name))
    return found


def _command_line(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_text() + os.readlink(entry / "cwd")
    except OSError:
        return ""


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
