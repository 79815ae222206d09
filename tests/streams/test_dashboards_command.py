"""`tidegate dashboards render`: files where they were asked for, and one sentence where something is in the way."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main

COMMITTED = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["dashboards", "render", *arguments], prog_name="tidegate")


def test_files_are_written_into_a_new_folder(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    found = call("--out", str(out))
    assert found.exit_code == 0, found.output
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {one.name: one.read_bytes() for one in COMMITTED.iterdir()}
    assert found.output.splitlines() == [
        str(out / name) for name in ("tidegate-executive.json", "tidegate-on-call.json", "tidegate-debug.json")
    ]


def test_what_is_missing_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("monitors.dashboards", "grafana_foundation_sdk"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grafana_foundation_sdk", None)
    found = call("--out", str(tmp_path))
    assert found.exit_code == 1
    assert "pip install 'tidegate[dashboards]'" in found.output
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = call("--out", str(tmp_path / "file" / "inside"))
    assert found.exit_code == 1
    assert "cannot be written" in found.output
