"""The command line: every command teaches with an example, and errors are one sentence with a remedy."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

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


def test_promote_asks_for_kafka_before_it_trains(tmp_path: Path) -> None:
    found = call("train", PIPELINE_FILE, "--data", str(tmp_path), "--promote")
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in found.output
