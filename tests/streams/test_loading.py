"""A pipeline is found by file or by module; what is missing is said with the remedy."""

import os
import sys
from pathlib import Path

import pytest

from streams.errors import PipelineNotFound, SettingsError
from streams.loading import load_pipeline
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FLIGHTS = ROOT / "examples" / "flights" / "pipeline.py"


@pytest.mark.parametrize(
    "reference", [str(FLIGHTS), f"{FLIGHTS}:pipeline", "examples.flights.pipeline", "examples.flights.pipeline:pipeline"]
)
def test_a_pipeline_is_found(reference: str) -> None:
    assert load_pipeline(reference).name == "flight-delays"


def test_a_file_outside_any_package_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "tidegate_neighbour.py").write_text("NAME = 'near'\n")
    text = FLIGHTS.read_text().replace('name="flight-delays"', "name=NAME")
    (tmp_path / "tidegate_alone.py").write_text("from tidegate_neighbour import NAME\n" + text)
    assert load_pipeline(str(tmp_path / "tidegate_alone.py")).name == "near"


def test_a_changed_file_is_read_anew_whatever_its_date_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path, text = tmp_path / "tidegate_edited.py", FLIGHTS.read_text()
    for name in ("flight-delays", "flight-delayz"):
        path.write_text(text.replace("flight-delays", name))
        os.utime(path, (1_000_000_000, 1_000_000_000))
        assert load_pipeline(str(path)).name == name
    assert not list(tmp_path.glob("__pycache__/*edited*"))


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nowhere.py", "there is no file"),
        ("no.such.module", "there is no module"),
        (f"{FLIGHTS}:other", "no Pipeline called 'other'"),
    ],
)
def test_what_is_missing_is_said(reference: str, words: str) -> None:
    with pytest.raises(PipelineNotFound, match=words):
        load_pipeline(reference)


def test_settings_name_the_variable_and_the_remedy(tmp_path: Path) -> None:
    settings = Settings.from_environment({"HOME": str(tmp_path)}, tmp_path)
    with pytest.raises(SettingsError, match=r"KAFKA_BOOTSTRAP_SERVERS is not set .* tidegate up"):
        _ = settings.kafka
    with pytest.raises(SettingsError, match="REDIS_URL is not set"):
        _ = settings.redis
    assert settings.registry_uri == f"sqlite:///{tmp_path}/.tidegate/mlflow.db"
    assert settings.cache == tmp_path / ".cache" / "tidegate" / "models"
    assert Settings.from_environment({"KAFKA_BOOTSTRAP_SERVERS": "a:1", "HOME": "/"}, tmp_path).kafka == "a:1"
