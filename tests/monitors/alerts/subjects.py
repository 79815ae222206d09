"""Subjects of alerts: the examples', and one that has everything that is optional."""

import shutil
from pathlib import Path

import pytest

from monitors.alerts import Feed, Subject
from monitors.objectives import Objectives
from streams.alerting import subject_of
from streams.loading import load_pipeline

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus"
EXAMPLES = {name: ROOT / "examples" / name / "pipeline.py" for name in ("flights", "payments")}
WHOLE = Subject(
    pipeline="shop",
    owner="ml",
    team="checkout",
    objectives=Objectives(),
    feeds=[Feed("weather_by_city", 600.0), Feed("stock_by_shop", 7_200.0)],
    has_band=True,
)


def examples() -> list[Subject]:
    """The examples' pipelines."""
    return [subject_of(load_pipeline(str(path))) for path in EXAMPLES.values()]


def promtool() -> str:
    """The path of promtool; the test is skipped where there is none."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: apt-get install prometheus")
    return found
