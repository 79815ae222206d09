"""Work beside the demo's start: its result or its error reaches who asks, and nobody waits for it at the end."""

import subprocess
import sys

import pytest

from streams.demo.session import in_background


def test_the_result_and_the_error_reach_who_asks() -> None:
    def broken() -> int:
        raise ValueError("no data")

    assert in_background(lambda: 7).result(5) == 7
    with pytest.raises(ValueError, match="no data"):
        in_background(broken).result(5)


def test_a_process_ends_without_waiting_for_it() -> None:
    endless = "import time; from streams.demo.session import in_background; in_background(lambda: time.sleep(600))"
    subprocess.run([sys.executable, "-c", endless], check=True, timeout=60)
