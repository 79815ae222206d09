"""However an owner ends, its server ends too and its data goes; tried on a `sleep`, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams.embedded.errors import EmbeddedError
from streams.embedded.process import GuardedProcess

SLEEP = ["sleep", "600"]

OWNER = """
import os, sys, time
from pathlib import Path
from streams.embedded.process import GuardedProcess
directory = Path(sys.argv[1])
process = GuardedProcess(["sleep", "600"], log=directory / "log", remove=directory)
{extra}
print(process.pid, flush=True)
time.sleep(600)
"""

FORK = """
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(30)
    os._exit(0)
Path(sys.argv[1] + ".child").write_text(str(child))
"""


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int) -> bool:
    """No such process, or only its entry in the table of a parent that does not look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "segment").write_text("records")
    return directory


def kill_the_owner(data: Path, extra: str = "") -> int:
    """Starts an owner, kills it with SIGKILL, and returns its server's process id."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER.format(extra=extra), str(data)], stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout is not None
        server = int(owner.stdout.readline())
        assert not gone(server)
        owner.kill()
    return server


def test_kill_9_of_the_owner_ends_the_server_and_removes_its_data(data: Path) -> None:
    server = kill_the_owner(data)
    assert eventually(lambda: gone(server))
    assert eventually(lambda: not data.exists())


def test_a_forked_child_that_holds_the_pipe_does_not_keep_the_server_alive(data: Path) -> None:
    """multiprocessing's fork duplicates the pipe's end, so its closing alone would not tell."""
    server = kill_the_owner(data, FORK)
    try:
        assert eventually(lambda: gone(server))
        assert eventually(lambda: not data.exists())
    finally:
        os.kill(int(Path(f"{data}.child").read_text()), signal.SIGKILL)


def test_kill_9_of_the_guardian_ends_the_server(data: Path) -> None:
    process = GuardedProcess(SLEEP, log=data / "log", remove=data)
    guardian = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guardian, signal.SIGKILL)
    assert eventually(lambda: gone(process.pid))
    assert process.wait(10) == -signal.SIGKILL
    process.close()


def test_closing_kills_and_removes(data: Path) -> None:
    process = GuardedProcess(SLEEP, log=data / "log", remove=data)
    process.close()
    assert gone(process.pid)
    assert not data.exists()


def test_releasing_leaves_the_data(data: Path) -> None:
    process = GuardedProcess([sys.executable, "-c", ""], log=data / "log", remove=data)
    assert process.wait(10) == 0
    process.release()
    assert (data / "segment").read_text() == "records"


def test_a_paused_server_can_be_stopped(data: Path) -> None:
    process = GuardedProcess(SLEEP, log=data / "log", remove=data)
    process.send(signal.SIGSTOP)
    process.stop(grace_seconds=10)
    assert process.exit_code == -signal.SIGTERM
    process.close()


def test_a_server_that_ignores_sigterm_is_killed(data: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 600; done"
    process = GuardedProcess(["sh", "-c", script], log=data / "log", remove=data)
    assert eventually(lambda: "ready" in (data / "log").read_text())
    process.stop(grace_seconds=0.1)
    assert process.exit_code == -signal.SIGKILL
    process.close()


def test_data_that_was_given_stays(data: Path) -> None:
    process = GuardedProcess(SLEEP, log=data / "log", remove=None)
    process.close()
    assert gone(process.pid)
    assert (data / "segment").exists()


def test_a_command_that_does_not_exist_is_an_error(data: Path) -> None:
    with pytest.raises(EmbeddedError, match="/no/such/server could not be started"):
        GuardedProcess(["/no/such/server"], log=data / "log", remove=data)


def test_threads_that_wait_together_all_get_the_exit_code(data: Path) -> None:
    process = GuardedProcess(SLEEP, log=data / "log", remove=data)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(process.wait, 30) for _ in range(4)]
        process.kill()
        assert [one.result(10) for one in waiting] == [-signal.SIGKILL] * 4
    process.close()


def test_a_directory_that_is_gone_is_one_sentence(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An owner that is interrupted removes its directory, perhaps before the guardian has opened the log in it."""
    with pytest.raises(EmbeddedError, match="could not be started"):
        GuardedProcess(SLEEP, log=data / "gone" / "log", remove=None)
    assert "Traceback" not in capfd.readouterr().err
