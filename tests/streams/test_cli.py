"""The command line: every command teaches with an example, and errors are one sentence with a remedy."""

import socket
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from examples.flights import dataset
from streams.cli import COMMANDS, main
from tests.integration.replay import PIPELINE_FILE


def call(*arguments: str, **environment: str | None) -> Result:
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": None, "REDIS_URL": None}
    return CliRunner().invoke(main, list(arguments), env=nowhere | environment, prog_name="tidegate")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_each_help_teaches_with_an_example(name: str) -> None:
    found = call(name, "--help")
    assert found.exit_code == 0
    assert "Example" in found.output
    assert f"tidegate {name}" in found.output.split("Example")[1]


def test_check_prints_features_and_topics() -> None:
    found = call("check", PIPELINE_FILE)
    assert found.exit_code == 0, found.output
    for words in ("arrival_by_tailnum", "flight-delays.predictions", "carrier", "category", "OK."):
        assert words in found.output


def test_check_refuses_a_wrong_pipeline_in_one_sentence(tmp_path: Path) -> None:
    text = Path(PIPELINE_FILE).read_text().replace('Raw("seats")', 'Raw("seat")')
    (tmp_path / "wrong.py").write_text(text)
    found = call("check", str(tmp_path / "wrong.py"))
    assert found.exit_code == 1
    assert "Departure has no field 'seat'" in found.output
    assert "Traceback" not in found.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("worker", PIPELINE_FILE, "--web-port", "0"), "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (("tail", PIPELINE_FILE), "tidegate up"),
        (("produce", PIPELINE_FILE, "--event", "Departure", "-"), "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (("produce", PIPELINE_FILE, "--event", "Nothing", "-"), "choose one of Departure, Arrival, Weather"),
        (("worker", "nowhere.py"), "there is no file"),
        (("backfill", PIPELINE_FILE), "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (("lag", "--once"), "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (("lag", "--interval", "soon"), "'soon' is not a duration"),
        (("features", "list", "--all"), "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (("features", "show", PIPELINE_FILE, "origin=JFK"), "REDIS_URL is not set"),
        (("features", "drop", "nothing"), "KAFKA_BOOTSTRAP_SERVERS is not set"),
        (("forget", PIPELINE_FILE, "origin"), "'origin' names no entity; write FIELD=VALUE"),
        (("forget", PIPELINE_FILE, "origin=JFK"), "KAFKA_BOOTSTRAP_SERVERS is not set"),
    ],
)
def test_a_missing_address_or_name_is_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    found = call(*arguments)
    assert found.exit_code == 1
    assert words in found.output
    assert "Traceback" not in found.output


def test_train_says_what_history_it_lacks(tmp_path: Path) -> None:
    found = call("train", PIPELINE_FILE, "--data", str(tmp_path))
    assert found.exit_code == 1
    assert "has no flights.departures.parquet" in found.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('task="binary"', 'task="binray"'), "'binray' is none of binary, multiclass, regression"),
        (('maturity="12h"', 'maturity="12 hours"'), "'12 hours' is not a duration"),
        (('name="flight-delays"', 'name="flight delays"'), "the pipeline's name is 'flight delays'; use letters"),
        (("score=Departure", 'score="Departure"'), "give the event's class itself"),
        (("value=lambda arrival: arrival.delay_minutes > LATE_MINUTES", "value=15"), "value= is a function"),
        (('aggregates=[Count], windows=["1h"]', 'aggregates=["count"], windows=["1h"]'), "is not a list of aggregates"),
        (('aggregates=[Count], windows=["1h"]', 'aggregates=[Count], windows="1h"'), "windows= is a list of durations"),
        (('{"delay_minutes": [Mean, Std]}', '["delay_minutes"]'), "fields= maps each field"),
        (("SCHEDULE = (", "SCHEDULE = ((("), "SyntaxError"),
        (('owner="ops-ml",', ""), "missing 1 required positional argument"),
    ],
)
def test_check_refuses_what_would_fail_later(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    text = Path(PIPELINE_FILE).read_text()
    assert change[0] in text
    (tmp_path / "queue.py").write_text(text.replace(*change))
    found = call("check", str(tmp_path / "queue.py"))  # a file may be called as a module is
    assert found.exit_code == 1
    assert words in " ".join(found.output.split())
    assert "Traceback" not in found.output


def test_check_lists_the_labels_topic_though_no_feature_reads_it(tmp_path: Path) -> None:
    text = (Path(PIPELINE_FILE).parents[2] / "docs" / "guide.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "rides.v2.py").write_text(text)
    assert "read: labels" in call("check", str(tmp_path / "rides.v2.py")).output


def test_history_in_milliseconds_or_of_no_event_is_refused(tmp_path: Path) -> None:
    dataset.write_parquet(tmp_path, 1, 1)
    assert (
        "has no Departure in the time asked for"
        in call("train", PIPELINE_FILE, "--data", str(tmp_path), "--from", "2020-01-01").output
    )
    path = tmp_path / "flights.weather.parquet"
    table = pq.read_table(path)
    times = pc.multiply(table["available_at"], 1000.0)
    pq.write_table(table.set_column(table.schema.get_field_index("available_at"), "available_at", times), path)
    found = call("train", PIPELINE_FILE, "--data", str(tmp_path))
    assert (found.exit_code, "milliseconds? divide by 1000" in found.output) == (1, True)
    path.write_text("not,parquet\n")
    assert "is not a Parquet file" in call("train", PIPELINE_FILE, "--data", str(tmp_path)).output


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        servers = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}
        found = call("worker", PIPELINE_FILE, "--web-port", port, **servers)
    assert (found.exit_code, "give another --web-port" in found.output) == (1, True)
    assert call("worker", PIPELINE_FILE, "--in-flight", "0").exit_code == 2


def test_an_address_without_a_scheme_is_one_sentence() -> None:
    found = call("worker", PIPELINE_FILE, "--web-port", "0", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", REDIS_URL="127.0.0.1:6379")
    assert "REDIS_URL is '127.0.0.1:6379'; it begins with redis://" in found.output


def test_promote_asks_for_kafka_before_it_trains(tmp_path: Path) -> None:
    found = call("train", PIPELINE_FILE, "--data", str(tmp_path), "--promote")
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in found.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("backfill", PIPELINE_FILE, "--until", "2013-02-01"), "--until and --allow-gap go with --from FOLDER"),
        (("backfill", PIPELINE_FILE, "--from", "nowhere"), "there is no such folder"),
        (("features", "list"), "name either a pipeline's file or --all"),
        (("worker", PIPELINE_FILE, "--max-chunk-events", "3001"), "3001 is not in the range 1<=x<=3000"),
        (("worker", PIPELINE_FILE, "--session-timeout", "0.5"), "0.5 is not in the range 1<=x<=80"),
    ],
)
def test_options_that_cannot_be_meant_are_said_so(arguments: tuple[str, ...], words: str) -> None:
    found = call(*arguments)
    assert (found.exit_code, words in found.output) == (2, True)


@pytest.mark.parametrize("name", ["list", "show", "drop"])
def test_the_help_of_features_teaches_with_examples(name: str) -> None:
    found = call("features", name, "--help")
    assert f"tidegate features {name}" in found.output.split("Example")[1]
