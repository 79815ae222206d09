"""How a signal ends the demo before its replay."""

import signal
import time
from collections.abc import Iterator

import pytest

from streams.demo.signals import ENDING, Ending


@pytest.fixture
def ending() -> Iterator[Ending]:
    before = {number: signal.getsignal(number) for number in ENDING}
    yield Ending()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_raises_where_nobody_looks(ending: Ending) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert ending.asked.is_set()
    signal.raise_signal(signal.SIGINT)  # a second one does nothing


def test_a_signal_in_the_midst_of_an_import_waits_for_its_end(ending: Ending) -> None:
    """Raised there, it may leave the lock of all imports held: the thread that reads the year waited for good."""
    program = compile("raise_signal(2); done.append(True)", "<frozen importlib._bootstrap>", "exec")
    done: list[bool] = []
    deadline = time.monotonic() + 10
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - at any moment of the loop
        exec(program, {"raise_signal": signal.raise_signal, "done": done})
        while time.monotonic() < deadline:
            pass
    assert done == [True]
    assert ending.asked.is_set()
