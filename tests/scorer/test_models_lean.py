"""What a worker imports to score with LightGBM."""

import subprocess
import sys

LEAN = """
import sys
from scorer.models.lean import import_lightgbm_alone
import_lightgbm_alone()
from scorer.models.lightgbm import LightGBMModel
assert not any(name.startswith("sklearn") for name in sys.modules), "scikit-learn was imported"
import sklearn.metrics  # still there for whoever needs it
"""


def test_a_scoring_process_does_without_scikit_learn() -> None:
    subprocess.run([sys.executable, "-c", LEAN], check=True)
