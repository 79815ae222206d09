"""Faults by name, and one run of a fault: its dice, its worlds, what it found."""

import contextlib
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.model import Champion
from tests.faults.world import SESSION_SECONDS, World

Progress = Callable[[str], None]
TARGET_SECONDS, GUARANTEE_SECONDS = SESSION_SECONDS + 3, SESSION_SECONDS + 10  # to be back after a worker was killed


@dataclass(slots=True)
class Run:
    """One campaign: `runs` injections of a fault, all drawn from `seed`."""

    fault: str
    runs: int
    seed: int
    champion: Champion
    folder: Path
    tell: Progress = lambda text: None
    dice: random.Random = field(init=False)
    recoveries: list[float] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    done: int = 0
    _worlds: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.fault}-{self.seed}")

    def each(self, numbers: range | None = None) -> Iterator[int]:
        """The numbers of the injections (or those given), with progress."""
        for number in numbers or range(self.runs):
            self.progress(f"{number + 1} of {self.runs}")
            yield number
            self.done = number + 1

    @contextlib.contextmanager
    def world(self, **options: Any) -> Iterator[World]:
        """A world that begins as soon as it can; its folder is kept where this run found a violation in it."""
        self._worlds += 1
        folder = self.folder / f"{self.fault}-{self._worlds}"
        before = len(self.violations)
        self.progress("starting Kafka, Redis and the workers")
        options.setdefault("seed", self.seed)
        with World(self.champion, folder, **options) as world:
            yield world
            if len(self.violations) == before:
                self.note_more("predicted_twice", world.oracle.duplicates())
                self.note_more("events", sum(map(len, world.sources.batches)))
        if len(self.violations) == before:
            shutil.rmtree(folder, ignore_errors=True)

    def progress(self, text: str) -> None:
        self.tell(text)

    def recovered(self, seconds: float) -> None:
        """How long one injection kept a partition without new predictions."""
        self.recoveries.append(seconds)

    def violation(self, text: str) -> None:
        self.violations.append(f"run {self.done + 1}: {text}")

    def judge(self, found: list[str]) -> None:
        """Violations as `World.audit` and `World.verify` return them."""
        for text in found:
            self.violation(text)

    def note(self, key: str, value: Any) -> None:
        """An extra figure for the row."""
        self.notes[key] = value

    def note_more(self, key: str, value: float) -> None:
        self.notes[key] = self.notes.get(key, 0) + value


@dataclass(frozen=True, slots=True)
class Fault:
    """A registered scenario."""

    name: str
    runs: int
    summary: str
    scenario: Callable[[Run], None]
    short: int  # runs under --short; 0: left out


FAULTS: dict[str, Fault] = {}


def fault(name: str, runs: int, summary: str, short: int = 1) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Registers a scenario. `summary` is one line for people; `short` the number of runs in the shortened set."""

    def register(scenario: Callable[[Run], None]) -> Callable[[Run], None]:
        assert name not in FAULTS, f"two faults are called {name}"
        FAULTS[name] = Fault(name, runs, summary, scenario, short)
        return scenario

    return register


def execute(chosen: Fault, run: Run) -> float:
    """Runs a scenario; what it raises is a violation. Seconds taken."""
    started = time.monotonic()
    try:
        chosen.scenario(run)
    except Exception as error:
        run.violation(f"{type(error).__name__}: {error}")
        (run.folder / "traceback.txt").write_text(_traceback(error))
    return time.monotonic() - started


def _traceback(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))
