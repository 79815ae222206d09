"""The demo as a whole: its figures agree with each other, and whatever ends it, nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pytest

from streams.embedded.jars import JarCache, cache_directory

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

COMMAND = [sys.executable, "-c", "from streams.cli import main; main()", "demo"]
FIRST_LINE = "First prediction after"


class Demo(subprocess.Popen[str]):
    """As a context: a demo that a failed test leaves running is killed, not waited for."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.kill()
        super().__exit__(kind, error, trace)


def start(tmp_path: Path, *options: str, **variables: str) -> Demo:
    """TMPDIR marks the demo's processes: all of them inherit it."""
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", **variables}
    return Demo([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ)


def processes_of(tmp_path: Path) -> dict[int, str]:
    """Command lines of processes with our TMPDIR, zombies left out."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"TMPDIR={tmp_path}\0".encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def running(tmp_path: Path, command: str) -> list[int]:
    """Those of `tidegate COMMAND`, without their guardians."""
    guard = "embedded/guard.py"
    return [pid for pid, line in processes_of(tmp_path).items() if f" {command} " in line and guard not in line]


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def read_until(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError("".join(lines))


def assert_nothing_is_left(tmp_path: Path) -> None:
    assert eventually(lambda: processes_of(tmp_path) == {})
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tidegate-")] == []


def test_it_ends_by_itself_with_figures_that_agree(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    process = start(tmp_path, "--seconds", "20", "--json", str(file), "--drift", "distance=1.5@1")
    out, _ = process.communicate(timeout=500)
    assert process.returncode == 0, out
    found = json.loads(file.read_text())
    assert found["distinct_predictions"] == found["predictions"] > 1_000, out
    assert found["events"] > found["predictions"] + found["rejects"]
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["rejects"] == found["events"] // 2_001  # each 2,000 sound records are followed by a broken one
    assert 0.5 < found["auc"] < 1
    assert 0.5 < found["baseline_auc"] < 1
    assert (found["model_version"], found["workers"]) == (1, 2)
    assert found["put_in"][0]["drift"] == "distance=1.5@1"
    assert found["windows"] >= 2
    (alarm,) = [one for one in found["alarms"] if one["feature"] == "distance"]
    assert 0 < alarm["after_drift_seconds"] == pytest.approx(alarm["seconds"] - 1, abs=0.2)
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_with_a_summary(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as process:
        read_until(process, FIRST_LINE)
        process.send_signal(number)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    assert "predictions" in out
    assert "Traceback" not in out
    assert_nothing_is_left(tmp_path)


def test_ctrl_c_before_the_replay_ends_it_in_order(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        read_until(process, "starting Kafka")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert (process.returncode, "Traceback" in out) == (0, False), out
    assert_nothing_is_left(tmp_path)


def test_ctrl_c_while_models_are_made_ends_it_in_order(tmp_path: Path) -> None:
    """In a cache that holds Kafka and nothing else, as after a first run that was stopped."""
    cache = tmp_path / "cache" / "tidegate"
    cache.mkdir(parents=True)
    JarCache(cache_directory(os.environ)).fetch()
    (cache / "jars").symlink_to(cache_directory(os.environ) / "jars")
    with start(tmp_path, XDG_CACHE_HOME=str(cache.parent)) as process:
        read_until(process, "training on")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in out) == (0, False), out
    assert_nothing_is_left(tmp_path)


def test_what_is_killed_is_told_and_the_other_worker_scores_what_it_left(tmp_path: Path) -> None:
    """No departure stays without a prediction, though one of two workers and the monitor died without a word."""
    file = tmp_path / "demo.json"
    with start(tmp_path, "--seconds", "20", "--speed", "200", "--json", str(file)) as process:
        read_until(process, FIRST_LINE)
        os.kill(running(tmp_path, "monitor")[0], signal.SIGKILL)
        os.kill(running(tmp_path, "worker")[0], signal.SIGKILL)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    for title in ("Worker", "The monitor"):
        assert re.search(rf"{title}.* was killed \(SIGKILL\)", out), out
    assert "no monitor" in out
    found = json.loads(file.read_text())
    assert found["workers"] == 1
    assert found["predictions"] >= found["distinct_predictions"] > 1_000
    assert "were not handled" not in out
    assert_nothing_is_left(tmp_path)


def test_without_workers_it_ends_with_a_sentence_and_code_1(tmp_path: Path) -> None:
    with start(tmp_path, "--workers", "1") as process:
        read_until(process, FIRST_LINE)
        os.kill(running(tmp_path, "worker")[0], signal.SIGKILL)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "No worker is left" in out
    assert "Traceback" not in out
    assert_nothing_is_left(tmp_path)
