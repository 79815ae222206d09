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
STRICT = Objectives(
    scored=0.9999,
    producer_errors=(),
    rejected=0.0,
    fast=0.99,
    latency_seconds=0.05,
    fresh=0.999,
    undrifted=0.99,
    jobs=0.99,
    lag_seconds=5.0,
    volume=0.6,
    quality=1.0,
    skew=0.0,
    model_age_days=1.0,
)
LENIENT = Objectives(
    scored=0.85,
    producer_errors=("malformed", "oversize"),
    rejected=0.5,
    fast=0.82,
    latency_seconds=5.0,
    fresh=0.9,
    undrifted=0.5,
    jobs=0.5,
    lag_seconds=600.0,
    volume=0.01,
    quality=0.3,
    skew=0.6,
    model_age_days=365.0,
)
BARE = Objectives(scored=None, fast=None, fresh=None, undrifted=None, jobs=None, model_age_days=None)
VARIED = {"strict": STRICT, "lenient": LENIENT, "bare": BARE}


def examples() -> list[Subject]:
    """The examples' pipelines."""
    return [subject_of(load_pipeline(str(path))) for path in EXAMPLES.values()]


def promtool() -> str:
    """The path of promtool; the test is skipped where there is none."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: apt-get install prometheus")
    return found
