"""`faust -A streams.app worker` runs the same worker."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from streams.embedded import Stack
from streams.embedded.ports import free_ports
from tests.integration.replay import PIPELINE_FILE, wait_for

pytestmark = pytest.mark.integration


def test_fausts_own_command_line_runs_the_worker(tmp_path: Path) -> None:
    with Stack.start(environ={}) as stack:
        port = free_ports(1)[0]
        environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers,
            "REDIS_URL": stack.redis_url,
            "TIDEGATE_PIPELINE": PIPELINE_FILE,
            "TIDEGATE_WEB_PORT": str(port),
        }
        command = [Path(sys.executable).with_name("faust"), "-A", "streams.app", "worker"]
        with (tmp_path / "log").open("wb") as log:
            worker = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            wait_for(lambda: "partitions: ok" in readiness(port), 60, f"assigned; it said {(tmp_path / 'log').read_text()}")
            assert "no champion of flight-delays is deployed" in readiness(port)
        finally:
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
        assert [path.name for path in tmp_path.iterdir()] == ["log"]  # it leaves nothing in the current folder


def readiness(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        time.sleep(0.1)
        return ""
