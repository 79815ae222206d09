"""A deployed version that has served here before is loaded without LightGBM."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.payments.pipeline import pipeline
from featurestore.plan import compile_plan
from scorer.training import train
from tests.champions import cached

ROOT = Path(__file__).parents[2]
START = """
import sys
from pathlib import Path
from examples.payments.pipeline import pipeline
from featurestore.plan import compile_plan
from scorer.deployments import Deployment
from streams.model_source import load_deployed
from streams.settings import Settings
from streams.lean import numba_without_scipy

numba_without_scipy()
folder, digest = Path(sys.argv[1]), sys.argv[2]
schema = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards).schema
deployed = Deployment("1", "shop", "shop", "champion", 1, "t", 0.0, "t", artifact_hash=digest, registry="none")
load_deployed(Settings.from_environment({"TIDEGATE_CACHE": str(folder / "cache")}, folder), deployed, schema)
print(*sorted(sys.modules.keys() & {"lightgbm", "pandas", "sklearn", "scipy.linalg"}))
"""


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """The hash of a model of the payments pipeline in a cache."""
    plan, dice = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards), np.random.default_rng(1)
    matrix = dice.exponential(50, (2_500, len(plan.schema)))
    labels, times = (matrix[:, 0] > 40).astype(np.float64), np.arange(2_500.0)
    trained = train(matrix, labels, times, plan.schema, task="binary", seed=1, gap_seconds=1.0, rounds_max=5)
    return cached(trained, "shop", tmp_path, tmp_path / "cache")


def test_a_second_start_needs_no_lightgbm(digest: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", START, str(tmp_path), digest]
    first, second = (subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert "lightgbm" in first.split()
    assert "sklearn" not in first.split()
    assert second == "\n"
